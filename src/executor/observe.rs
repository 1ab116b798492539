//! Taking an observation: one command per node, all nodes at once, kept as files.

use super::unit::collect;
use crate::error::{Context, Error, Result};
use crate::observe;
use crate::paths::Paths;
use crate::ssh::Remote;
use crate::state::write;
use crate::template::quote;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where an observation of a lab is kept.
pub fn folder(dir: &Path, name: &str) -> PathBuf {
    dir.join("observations").join(name)
}

/// Captures links, routes and rules of these nodes under a name.
pub async fn capture<R: Remote>(name: &str, remotes: &[(&str, Arc<R>)], dir: &Path) -> Result<()> {
    let folder = folder(dir, name);
    Paths::make_private(&folder)?;
    let taken = std::sync::Mutex::new(Vec::new());
    let mut all: Vec<super::Pending<Result<()>>> = Vec::new();
    for (node, remote) in remotes {
        // Each section records its own failure: a tool that is missing must not end the capture.
        let (taken, command) = (&taken, format!("sh -c {}", quote(observe::capture::script())));
        all.push(Box::pin(async move {
            let (exit, out, err) = collect(&**remote, &command, b"").await?;
            if !exit.ok() {
                return Err(Error::failed(format!("observe {name}"), format!("{exit:?}: {}", err.trim())).on(*node));
            }
            taken.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((*node, out));
            Ok(())
        }));
    }
    while !all.is_empty() {
        super::first(&mut all).await?;
    }
    drop(all);
    for (node, text) in taken.into_inner().context(|| "keep the observation".to_owned())? {
        write::atomically(&folder.join(format!("{node}.txt")), text.as_bytes(), 0o600)?;
    }
    Ok(())
}
