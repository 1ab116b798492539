//! The lab's own segments: bridges in a network namespace that only this lab has. The namespace has no name and no
//! process of its own: each node's slirp4netns holds it open, and with the last of them it goes.

use super::{keep, nat, process};
use crate::driver::{NodeSpec, Place};
use crate::error::{Context, Error, Result};
use crate::lab::model::Link;
use crate::state::process::ProcessId;
use std::fs::File;
use std::io::Read;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::process::Command;

/// The lab's network namespace, open, and the lock under which it was found or made.
pub struct Lan {
    pub namespace: File,
    _lock: File,
}

/// The lab's namespace; a new one for its first node. Nodes that start at the same time take turns while they hold it.
pub async fn open(place: &Place) -> Result<Lan> {
    let place = place.clone();
    let opened = tokio::task::spawn_blocking(move || {
        let what = || "open the lab's network namespace";
        let lock = File::create(place.run.join("lan.lock")).context(what)?;
        lock.lock().context(what)?;
        let namespace = match find(&place) {
            Some(namespace) => namespace,
            None => make().context(what)?,
        };
        Ok(Lan { namespace, _lock: lock })
    });
    opened.await.context(|| "open the lab's network namespace")?
}

/// The lab's namespace, if somebody holds it: each slirp4netns as its standard input, the keeper anywhere.
pub fn find(place: &Place) -> Option<File> {
    let input = |process: ProcessId| held(process, PathBuf::from(format!("/proc/{}/fd/0", process.pid)));
    nat::find_all(place).into_iter().find_map(input).or_else(|| {
        let keeper = keeper(place)?;
        let open = std::fs::read_dir(format!("/proc/{}/fd", keeper.pid)).ok()?;
        open.flatten().find_map(|entry| held(keeper, entry.path()))
    })
}

/// The lab's keeper.
pub fn keeper(place: &Place) -> Option<ProcessId> {
    Some(keep::background(&place.run).find()?.process)
}

fn held(process: ProcessId, descriptor: PathBuf) -> Option<File> {
    let to = std::fs::read_link(&descriptor).ok()?;
    let file = to.to_string_lossy().starts_with("net:[").then(|| File::open(descriptor).ok())?;
    file.filter(|_| process.alive())
}

/// A new network namespace. The process that it is made with ends at once; the open file keeps it.
fn make() -> std::io::Result<File> {
    let mut child = std::process::Command::new("unshare")
        .args(["--net", "sh", "-c", "echo && exec cat"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .current_dir("/")
        .spawn()?;
    // It speaks when it is in its namespace, and ends with its input: also when we are killed here.
    let said = child.stdout.take().map_or(Ok(0), |mut out| out.read(&mut [0]))?;
    let namespace = File::open(format!("/proc/{}/ns/net", child.id()));
    drop(child.stdin.take());
    let status = child.wait()?;
    if said != 1 || !status.success() {
        return Err(std::io::Error::other(format!("unshare ended with {status}")));
    }
    namespace
}

impl Lan {
    /// Connects the node's host-only links that are not there yet.
    pub async fn connect(&self, spec: &NodeSpec, node: ProcessId) -> Result<()> {
        let id = process::id(&spec.place);
        let inside = PathBuf::from(format!("/proc/{}/ns/net", node.pid));
        for (index, link) in spec.node.links.iter().enumerate().filter(|(_, l)| l.address.is_some()) {
            // A device that is there stays: what the node has built on it would go with it.
            if ip(&inside, &format!("link show dev {}\n", link.device)).await.is_ok() {
                continue;
            }
            let port = port(&id, index);
            // The port of a node that was killed a moment ago may still be there; for a new one there is none to remove.
            let _ = self.ip(&format!("link del {port}\n")).await;
            let bridge = bridge(&link.network);
            if self.ip(&format!("link show dev {bridge}\n")).await.is_err() {
                self.ip(&new_bridge(&bridge)).await?;
            }
            self.ip(&new_port(&port, &bridge, link, node.pid)).await?;
        }
        Ok(())
    }

    async fn ip(&self, commands: &str) -> Result<()> {
        ip(Path::new(&format!("/proc/{}/fd/{}", std::process::id(), self.namespace.as_raw_fd())), commands).await
    }
}

/// Runs commands of ip(8) in a network namespace.
pub async fn ip(namespace: &Path, commands: &str) -> Result<()> {
    let mut net = std::ffi::OsString::from("--net=");
    net.push(namespace);
    let done = process::run(Command::new("nsenter").arg(net).args(["ip", "-batch", "-"]), commands).await;
    done.map_err(|e| Error::failed("make the node's links", e.why))
}

/// The port's name on the bridge; at most 15 characters, and no two nodes share one.
fn port(id: &str, index: usize) -> String {
    format!("p{index}-{}", id.trim_start_matches("lab-"))
}

fn bridge(network: &str) -> String {
    format!("b-{}", &blake3::hash(network.as_bytes()).to_hex()[..8])
}

/// A quiet bridge: it has no address and asks nobody for groups, so that nodes see only each other's frames.
fn new_bridge(name: &str) -> String {
    format!("link add {name} type bridge mcast_snooping 0\nlink set {name} addrgenmode none up\n")
}

fn new_port(port: &str, bridge: &str, link: &Link, pid: u32) -> String {
    let (device, mac) = (&link.device, &link.mac);
    format!(
        "link add {port} type veth peer name {device} address {mac} netns {pid}\n\
         link set {port} addrgenmode none master {bridge} up\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_devices_fit_the_kernel() {
        assert_eq!(port("lab-0123456789", 3), "p3-0123456789");
        assert!(port("lab-0123456789", 3).len() <= 15);
        assert!(bridge("a network with a very long name").len() <= 15);
        assert_ne!(bridge("a"), bridge("b"));
    }
}
