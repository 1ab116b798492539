//! A node's disk: a copy-on-write overlay on the image's, which many nodes share.

use super::host::Program;
use crate::driver::BaseImage;
use crate::error::{Context, Error, Result};
use serde::Deserialize;
use std::ffi::OsStr;
use std::path::Path;
use tokio::process::Command;

/// The part of `qemu-img info` that is read.
#[derive(Deserialize)]
struct Info {
    #[serde(rename = "virtual-size")]
    virtual_size: u64,
}

/// Makes the overlay, unless it is there. Whole or not there: it gets its name last.
pub async fn create(program: &Program, image: &BaseImage, overlay: &Path, size: u64) -> Result<()> {
    if overlay.exists() {
        return Ok(());
    }
    let base = image.dir.join("disk.qcow2");
    let text = run(program, &["info".as_ref(), "--output=json".as_ref(), base.as_os_str()]).await?;
    let info: Info = serde_json::from_slice(&text).context(|| format!("read what {} is", base.display()))?;
    if size < info.virtual_size {
        let (has, needs) = (size >> 20, info.virtual_size.div_ceil(1 << 20));
        return Err(Error::input("make the node's disk", format!("it has {has} MiB, its image needs {needs} MiB"))
            .hint(format!("write `disk: {}GiB` or more in the lab file", info.virtual_size.div_ceil(1 << 30))));
    }
    let new = overlay.with_extension("new");
    let size = size.to_string();
    let create = ["create", "-q", "-f", "qcow2", "-F", "qcow2", "-b"].map(OsStr::new);
    let names = [base.as_os_str(), new.as_os_str(), size.as_ref()];
    run(program, &[&create[..], &names[..]].concat()).await?;
    std::fs::rename(&new, overlay).context(|| format!("make {}", overlay.display()))
}

async fn run(program: &Program, arguments: &[&OsStr]) -> Result<Vec<u8>> {
    let what = || "make the node's disk";
    let output = Command::new(&program.img).args(arguments).kill_on_drop(true).output().await.context(what)?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    Err(Error::failed(what(), format!("qemu-img: {}", String::from_utf8_lossy(&output.stderr).trim())))
}
