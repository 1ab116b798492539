//! Host-only networks: a user-mode Ethernet switch, one background process per lab, one isolated segment per network.

pub mod frame;
pub mod port;
pub mod process;
pub mod serve;
pub mod switch;
mod table;

use std::path::{Path, PathBuf};

/// The socket of a network's segment in the lab's folder for sockets: what a node's device connects to.
pub fn socket(run: &Path, network: &str) -> PathBuf {
    run.join(format!("net-{network}.sock"))
}
