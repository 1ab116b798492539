//! What a hypervisor or container runtime does for one node. Every method can be called again after it was cut.

pub mod choice;
pub mod container;
pub mod fake;
pub mod qemu;

use crate::error::{Error, Result};
use crate::lab::model::Node;
use crate::seed::Seed;
use serde::{Deserialize, Serialize};
use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Everything a driver needs to make one node; known before anything is made.
#[derive(Debug, Clone)]
pub struct NodeSpec {
    /// The lab it belongs to.
    pub lab: String,
    pub node: Node,
    /// The node's own folder, 0700: disk, seed, pid files, serial log. Equals [`Place::dir`].
    pub place: Place,
    pub image: BaseImage,
    pub seed: Seed,
    /// Nothing may leave the node by NAT.
    pub offline: bool,
    /// The switch's socket for each host-only network of the node, by network name.
    pub ports: Vec<(String, PathBuf)>,
}

/// Where a node's things are. Enough to stop, inspect and destroy it without a lab file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    pub lab: String,
    pub node: String,
    /// The node's state folder.
    pub dir: PathBuf,
    /// The lab's folder for sockets, short.
    pub run: PathBuf,
}

impl Place {
    /// A socket of this node in the lab's socket folder.
    pub fn socket(&self, what: &str) -> PathBuf {
        self.run.join(format!("{}.{what}", self.node))
    }
}

/// The files of an image, as the drivers need them. Read-only, shared by all nodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BaseImage {
    /// Digest of the image's inputs.
    pub key: String,
    /// The folder of the image in the cache.
    pub dir: PathBuf,
}

/// How much slower an emulated processor is than the host's own, measured on booting and on kubeadm.
const EMULATION_COST: u64 = 12;

/// What is true of nodes made by a driver on this host; templates read it as `driver.*`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// The driver's name: `qemu`, `container`, `fake`.
    pub name: String,
    /// One line for people: what was chosen and what it costs.
    pub description: String,
    /// How much slower than an accelerated node; deadlines are multiplied by it. 1 with KVM or HVF, and on containers
    /// unless the host itself is emulated.
    pub slowness: u64,
    /// Processors are emulated: what is CPU-hungry must be told to calm down.
    pub emulated: bool,
    /// The node has no kernel of its own.
    pub nested_kernel: bool,
    /// The node's root may lower oom_score_adj (CAP_SYS_RESOURCE).
    pub oom_adjust: bool,
    /// The node sees cgroup v1.
    pub cgroup_v1: bool,
}

/// Where a started node can be reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// SSH, on 127.0.0.1 of the host.
    pub ssh: SocketAddr,
}

/// A TCP port of a node that 127.0.0.1 of the host listens for. It lives in what makes the node's NAT, and ends with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forward {
    pub host: u16,
    pub guest: u16,
}

/// What the host says of a node; never read from our own records alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeState {
    /// Nothing of it exists.
    Absent,
    /// Its disk exists, no process runs.
    Stopped,
    /// Its process runs.
    Running(Endpoint),
}

/// How to stop a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// Ask the guest to power off, kill it when it does not.
    Graceful,
    /// At once.
    Kill,
}

/// The code for one way of making nodes.
pub trait Driver: Send + Sync {
    /// What is true of this driver's nodes here.
    fn facts(&self) -> &Facts;

    /// Looks at the host without changing it: every problem with its remedy.
    fn preflight(&self, nodes: &[Node]) -> impl Future<Output = Vec<Error>> + Send;

    /// Makes the node's disk and seed files. A node that is already made is left as it is.
    fn create(&self, spec: &NodeSpec) -> impl Future<Output = Result<()>> + Send;

    /// Starts the node's process and returns when it is up. A running node is left running.
    fn start(&self, spec: &NodeSpec) -> impl Future<Output = Result<Endpoint>> + Send;

    /// Forwards a port to a running node. A forward that is there already is left as it is.
    ///
    /// # Errors
    /// Something else on the host has the port.
    fn forward(&self, place: &Place, forward: Forward) -> impl Future<Output = Result<()>> + Send;

    /// Stops the node and returns when its process is gone. A stopped node is left as it is.
    fn stop(&self, place: &Place, how: Stop) -> impl Future<Output = Result<()>> + Send;

    /// Removes all that the driver ever made for the node, going on past errors; the first error is returned.
    fn destroy(&self, place: &Place) -> impl Future<Output = Result<()>> + Send;

    /// What the host says of the node.
    fn inspect(&self, place: &Place) -> impl Future<Output = Result<NodeState>> + Send;

    /// Ends when the node dies (its process gone, its kernel panicked), with the reason and the last console lines.
    /// Never ends while the node is well; may be dropped at any time.
    fn watch(&self, place: &Place) -> impl Future<Output = Error> + Send;

    /// What is wrong with a node beyond its state, as the host knows it: a death that nobody asked for, processes that
    /// the kernel killed because memory was full.
    fn trouble(&self, place: &Place) -> impl Future<Output = Option<String>> + Send;
}

/// How the programs are called that drivers start for a node and that outlive us; each names a path of its node in its
/// arguments.
pub const PROGRAMS: [&str; 3] = ["qemu-system", "slirp4netns", "tee"];

/// The serial or console log of a node, kept by every driver.
pub fn console_log(place: &Place) -> PathBuf {
    place.dir.join("console.log")
}
