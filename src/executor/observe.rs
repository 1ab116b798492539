//! Taking an observation: one command per node, all nodes at once, kept as files.

use super::unit::collect;
use crate::error::{Error, Result};
use crate::lab::model::Lab;
use crate::observe::capture::{self, Wanted};
use crate::paths::Paths;
use crate::ssh::Remote;
use crate::state::write;
use futures_util::future::try_join_all;
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
    let taken = remotes.iter().map(|(node, remote)| async move {
        let text = take(&**remote, node, &wanted(lab, node)).await?;
        Ok((*node, text))
    });
    let taken = try_join_all(taken).await?;
    let folder = folder(dir, name);
    Paths::make_private(&folder)?;
    for (node, text) in taken {
        keep(&folder, node, &text)?;
    }
    Ok(())
}

/// What is captured of a node where nobody asks for more: its network, and the cluster where it has access to it.
pub fn wanted(lab: &Lab, node: &str) -> Wanted {
    let cluster = lab.exports.get(CLUSTER).filter(|e| e.node == node).map(|e| e.path.clone());
    Wanted { cluster, connections: false }
}

/// What a node says of its network, and of what else is wanted.
///
/// # Errors
/// The node cannot be reached. A tool that is missing does not end the capture: each section records its own failure.
pub async fn take<R: Remote>(remote: &R, node: &str, wanted: &Wanted) -> Result<String> {
    let (exit, out, err) = collect(remote, &capture::command(wanted), b"").await?;
    if exit.ok() {
        Ok(out)
    } else {
        Err(Error::failed("observe", format!("{}: {}", exit.in_words(), err.trim())).on(node))
    }
}

/// Keeps what a node said. Made anew, it is whole or as before.
pub fn keep(folder: &Path, node: &str, text: &str) -> Result<()> {
    write::atomically(&folder.join(format!("{node}.txt")), text.as_bytes(), 0o600)
}
