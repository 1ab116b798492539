//! How often a node's memory was full so that the kernel killed in it. The new layout of cgroups counts that itself. In the
//! old one a kill is counted in the killed process's own cgroup, which goes with its service: there the lab's keeper
//! listens to the kernel (eventfd) and counts.

use super::{cgroup, process};
use crate::driver::Place;
use crate::state::write::atomically;
use rustix::event::{EventfdFlags, eventfd};
use std::fs::File;
use std::io::Read;
use std::os::fd::AsRawFd;
use std::path::PathBuf;

/// What the keeper has counted in this run of the node.
pub fn counted(place: &Place) -> PathBuf {
    place.dir.join("memory-full")
}

/// How many times processes of the node were killed.
pub fn kills(place: &Place) -> u64 {
    let told = std::fs::read_to_string(counted(place)).ok().and_then(|text| text.trim().parse().ok());
    cgroup::out_of_memory_kills(&process::id(place)).max(told.unwrap_or(0))
}

/// Counts until the node's cgroup is gone; for ever where the kernel counts.
pub async fn count(place: &Place) {
    // A host that does not tell is one without this figure.
    let _ = listen(place).await;
    std::future::pending().await
}

async fn listen(place: &Place) -> std::io::Result<()> {
    if !cgroup::is_v1() {
        return Ok(());
    }
    let level = cgroup::memory(&process::id(place));
    let control = File::open(level.join("memory.oom_control"))?;
    let mut event = File::from(eventfd(0, EventfdFlags::CLOEXEC)?);
    std::fs::write(level.join("cgroup.event_control"), format!("{} {}", event.as_raw_fd(), control.as_raw_fd()))?;
    let mut sum = kills(place);
    loop {
        process::readable(event.try_clone()?.into()).await;
        let mut bytes = [0; 8];
        event.read_exact(&mut bytes)?;
        // The end of the cgroup is told as well.
        if !level.exists() {
            return Ok(());
        }
        sum += u64::from_ne_bytes(bytes);
        // A full disk takes the figure only.
        let _ = atomically(&counted(place), sum.to_string().as_bytes(), 0o600);
    }
}
