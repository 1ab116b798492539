//! Running a producer: the commands behind `go`, `debian` and `run`, with their output in the part's log.

use super::bootstrap::{self, Bootstrap};
use super::cache::CachedPart;
use super::recipe::{Go, PartRecipe, Producer};
use super::{command, oci};
use crate::error::{Context, Result};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// The time that built files carry, so that the same inputs make the same bytes: 2025-01-01.
pub const EPOCH: &str = "1735689600";

/// What a producer works with.
pub struct Work<'a> {
    /// The recipe's folder, unpacked on disk.
    pub dir: &'a Path,
    /// Where the part's files go.
    pub out: &'a Path,
    pub log: &'a Path,
    /// Finished parts by name.
    pub parts: &'a BTreeMap<String, CachedPart>,
    pub part: &'a PartRecipe,
}

/// Makes one part; the lines returned tell more about what is in it.
pub fn produce(work: &Work) -> Result<Vec<String>> {
    match &work.part.producer {
        Producer::Go(go) => build_go(work, go),
        Producer::Debian { suite, packages } => debian(work, suite, packages),
        Producer::Run { script } => run_script(work, script).map(|()| Vec::new()),
        Producer::Images(images) => oci::assemble(images, work.parts, work.out),
    }
}

fn build_go(work: &Work, go: &Go) -> Result<Vec<String>> {
    let mut command = command::program("go");
    command.current_dir(work.dir.join(&go.dir)).arg("build");
    command.args(["-mod=readonly", "-trimpath", "-buildvcs=false"]);
    command.env("CGO_ENABLED", if go.cgo { "1" } else { "0" }).env("GOFLAGS", "").env("GOWORK", "off");
    if let Some(tags) = &go.tags {
        command.arg("-tags").arg(tags);
    }
    command.arg("-ldflags").arg(format!("-s -w {}", go.ldflags.join(" ")));
    match &go.output {
        Some(name) => command.arg("-o").arg(work.out.join(name)),
        // The trailing slash makes it a folder for any number of programs.
        None => command.arg("-o").arg(format!("{}/", work.out.display())),
    };
    command.args(&go.packages);
    logged(work, command)?;
    Ok(vec![format!("built by {}", toolchain(work)?)])
}

/// What compiled it, for the manifest: the pins alone do not say.
fn toolchain(work: &Work) -> Result<String> {
    let output = command::program("go").current_dir(work.dir).arg("version").output();
    let output = output.context(|| "ask go for its version".to_owned())?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().trim_start_matches("go version ").to_owned())
}

fn debian(work: &Work, suite: &str, packages: &[String]) -> Result<Vec<String>> {
    let list = work.out.join("packages.txt");
    let command = Bootstrap::new("essential", packages, work.out)
        // Copied by mmdebstrap from this host, of which an image says nothing.
        .hook("rm -f \"$1/etc/hostname\" \"$1/etc/resolv.conf\"")
        .list_packages(&list)?
        .into_command(suite, &work.out.join("base.tar"));
    logged(work, command)?;
    let text = std::fs::read_to_string(&list).context(|| "read the list of packages".to_owned())?;
    Ok(bootstrap::packages(&text))
}

fn run_script(work: &Work, script: &str) -> Result<()> {
    let mut command = command::program("bash");
    command.args(["-euo", "pipefail", "-c", script]);
    command.current_dir(work.out).env("OUT", work.out).env("DIR", work.dir).env("SOURCE_DATE_EPOCH", EPOCH);
    for (name, part) in work.parts {
        command.env(format!("PART_{}", name.replace('-', "_")), &part.dir);
    }
    logged(work, command)
}

/// Runs a command with its output in the part's log.
fn logged(work: &Work, command: Command) -> Result<()> {
    command::run(&format!("build the part {}", work.part.name), command, work.log, |_| {})
}
