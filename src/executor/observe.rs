//! Taking an observation: one command per node, all nodes at once, kept as files.

use super::unit::collect;
use crate::error::{Context, Error, Result};
use crate::lab::model::Lab;
use crate::observe::capture::{self, Wanted};
use crate::paths::Paths;
use crate::ssh::Remote;
use crate::state::write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a lab file exports the cluster's access under.
const CLUSTER: &str = "kubeconfig";

/// Where an observation of a lab is kept.
pub fn folder(dir: &Path, name: &str) -> PathBuf {
    dir.join("observations").join(name)
}

/// Captures links, routes and rules of these nodes under a name.
pub async fn capture<R: Remote>(lab: &Lab, name: &str, remotes: &[(&str, Arc<R>)], dir: &Path) -> Result<()> {
    let taken = std::sync::Mutex::new(Vec::new());
    let mut all: Vec<super::Pending<Result<()>>> = Vec::new();
    for (node, remote) in remotes {
        let taken = &taken;
        all.push(Box::pin(async move {
            let text = take(&**remote, lab, node, false).await?;
            taken.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((*node, text));
            Ok(())
        }));
    }
    while !all.is_empty() {
        super::first(&mut all).await?;
    }
    drop(all);
    let folder = folder(dir, name);
    Paths::make_private(&folder)?;
    for (node, text) in taken.into_inner().context(|| "keep the observation".to_owned())? {
        keep(&folder, node, &text)?;
    }
    Ok(())
}

/// What a node says of its network, and of the cluster where it has access to it. `connections` asks for those that the
/// kernel tracks.
///
/// # Errors
/// The node cannot be reached. A tool that is missing does not end the capture: each section records its own failure.
pub async fn take<R: Remote>(remote: &R, lab: &Lab, node: &str, connections: bool) -> Result<String> {
    let cluster = lab.exports.get(CLUSTER).filter(|e| e.node == node).map(|e| e.path.clone());
    let command = capture::command(&Wanted { cluster, connections });
    let (exit, out, err) = collect(remote, &command, b"").await?;
    if exit.ok() { Ok(out) } else { Err(Error::failed("observe", format!("{exit:?}: {}", err.trim())).on(node)) }
}

/// Keeps what a node said. Made anew, it is whole or as before.
pub fn keep(folder: &Path, node: &str, text: &str) -> Result<()> {
    write::atomically(&folder.join(format!("{node}.txt")), text.as_bytes(), 0o600)
}
