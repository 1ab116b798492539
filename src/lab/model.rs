//! A lab that cannot be wrong: everything resolved, checked and in its place. Made by `resolve`, read by everyone.

use super::check::Check;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::fmt;
use std::net::Ipv4Addr;

/// A lab: nodes, networks, steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Lab {
    pub name: String,
    pub title: String,
    /// The name of the image recipe that every node boots.
    pub image: String,
    /// How the nodes are best made, where the lab file says it; the command line may say otherwise.
    #[serde(default)]
    pub driver: Option<String>,
    /// The lab file's values, resolved; what templates see by their names.
    pub values: BTreeMap<String, Json>,
    /// The values that were given from outside, as texts; `up` remembers them.
    #[serde(default)]
    pub given: BTreeMap<String, String>,
    pub networks: Vec<Network>,
    pub nodes: Vec<Node>,
    /// In the file's order, composite steps expanded.
    pub steps: Vec<Step>,
    /// In order; together they hold all steps. Empty where the lab file has none.
    #[serde(default)]
    pub chapters: Vec<Chapter>,
    /// What the finished lab must look like.
    #[serde(default)]
    pub checks: Vec<Check>,
    /// Files of the cluster that verbs may want, by name ("kubeconfig").
    pub exports: BTreeMap<String, Export>,
    /// Programs that run on the host and find the lab by its exports, by the verb that runs them.
    #[serde(default)]
    pub tools: BTreeMap<String, Tool>,
}

impl Lab {
    /// The node of this name.
    pub fn node(&self, name: &str) -> Option<&Node> {
        self.nodes.iter().find(|n| n.name == name)
    }

    /// The network of this name.
    pub fn network(&self, name: &str) -> Option<&Network> {
        self.networks.iter().find(|n| n.name == name)
    }
}

/// A shared L2 segment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Network {
    pub name: String,
    pub kind: NetworkKind,
}

/// What a network is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum NetworkKind {
    /// Each node's own way out: eth0, 10.0.2.15/24, gateway .2, DNS .3.
    Nat,
    /// A segment that only the lab's nodes share.
    HostOnly { subnet: Subnet },
}

/// An IPv4 network in CIDR form; the host bits are zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subnet {
    pub address: Ipv4Addr,
    pub prefix: u8,
}

impl Subnet {
    /// Reads "192.168.20.0/24". The reason of a refusal is for people.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (address, prefix) = text.split_once('/').ok_or("a subnet is written ADDRESS/PREFIX")?;
        let address: Ipv4Addr = address.parse().map_err(|_| format!("`{address}` is no IPv4 address"))?;
        let prefix: u8 = prefix.parse().ok().filter(|p| *p <= 32).ok_or("the prefix is a number from 0 to 32")?;
        let subnet = Self::around(address, prefix);
        if subnet.address != address {
            return Err(format!("{address} is inside the subnet {subnet}; write the subnet itself"));
        }
        Ok(subnet)
    }

    /// The subnet that an address with this prefix, at most 32, is in.
    pub fn around(address: Ipv4Addr, prefix: u8) -> Self {
        let whole = Self { address, prefix };
        Self { address: Ipv4Addr::from(u32::from(address) & whole.mask()), prefix }
    }

    fn mask(self) -> u32 {
        u32::MAX.checked_shl(32 - u32::from(self.prefix)).unwrap_or(0)
    }

    /// Whether the address is one that a node can have here: not the network's own, not the broadcast.
    pub fn has_room_for(self, address: Ipv4Addr) -> bool {
        let (bits, mask) = (u32::from(address), self.mask());
        let inside = bits & mask == u32::from(self.address);
        inside && (self.prefix >= 31 || (bits & !mask != 0 && bits | mask != u32::MAX))
    }

    /// Whether two subnets share an address.
    pub fn overlaps(self, other: Self) -> bool {
        let mask = self.mask() & other.mask();
        u32::from(self.address) & mask == u32::from(other.address) & mask
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// One machine of a lab.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Node {
    pub name: String,
    pub cpus: u32,
    /// Bytes.
    pub memory: u64,
    /// Bytes; the size that the node sees.
    pub disk: u64,
    /// In device order: the first is eth0.
    pub links: Vec<Link>,
}

impl Node {
    /// The node's address on the first host-only network, by which the others reach it.
    pub fn address(&self) -> Option<Ipv4Addr> {
        self.links.iter().find_map(|l| l.address)
    }
}

/// A node's place on a network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Link {
    /// The name inside the node: eth0, eth1, ...
    pub device: String,
    pub network: String,
    /// None on NAT, whose address is always the same.
    pub address: Option<Ipv4Addr>,
    /// Bits of the network's prefix; 24 on NAT.
    pub prefix: u8,
    /// Locally administered, the same at every start.
    pub mac: String,
}

/// A group of steps with a text for who walks through the lab.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Chapter {
    pub name: String,
    /// Its steps end before this index.
    pub end: usize,
    /// Markdown by language, values filled in.
    pub text: BTreeMap<String, String>,
}

impl Chapter {
    /// The text in this language, else in English, else in the first there is.
    pub fn text_in(&self, language: &str) -> &str {
        let found = self.text.get(language).or_else(|| self.text.get(super::chapter::FALLBACK));
        found.or_else(|| self.text.values().next()).map_or("", String::as_str)
    }

    /// The text's first heading, else the chapter's name.
    pub fn title_in(&self, language: &str) -> &str {
        let heading = self.text_in(language).lines().find_map(|l| l.strip_prefix("# "));
        heading.map_or(self.name.as_str(), str::trim)
    }
}

/// Where a file of the cluster is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Export {
    pub node: String,
    pub path: String,
    /// A TCP port of the node that the file speaks of: the host forwards one to it, and the file handed out says so.
    #[serde(default)]
    pub port: Option<u16>,
}

/// A program of the image's bundle for the host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tool {
    /// PART/FILE of the bundle.
    pub program: String,
    /// Variables and the export whose file each names.
    pub env: BTreeMap<String, String>,
}

/// What the lab file says to do, on which nodes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Unique in the lab; parts of a composite step are "join/token".
    pub name: String,
    /// Nodes, in the lab's order.
    pub on: Vec<String>,
    /// Names of steps that must be done, beyond the file's order on each node.
    pub needs: Vec<String>,
    pub action: Action,
    /// What templates see here beside the lab's values: the composite step's inputs.
    pub inputs: BTreeMap<String, Json>,
    /// A script that succeeds when the step is already true.
    pub unless: Option<String>,
    /// A script that makes a half-done step repeatable; run before a retry.
    pub undo: Option<String>,
    /// A probe that must hold before the step counts as done.
    pub check: Option<Probe>,
    /// What the script leaves in `$LAB_OUTPUTS/NAME`.
    pub outputs: Vec<Output>,
    /// How long it may take, in seconds on an accelerated node; scaled by the driver's slowness.
    pub timeout: u64,
    /// What to do when it fails.
    pub hint: Option<String>,
}

/// A declared output of a step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Output {
    pub name: String,
    /// Masked in logs and kept in a file of mode 0600.
    pub secret: bool,
    /// Seconds after which its step must run again before the value is used.
    pub lifetime: Option<u64>,
}

/// Exactly one thing to do. Texts are templates, rendered when the step runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// A script for bash, under `set -euo pipefail`.
    Run { script: String },
    /// A file put onto the node. `content` is a template where `template` says so.
    File { path: String, content: String, template: bool, mode: u32, owner: String },
    /// Waiting until a probe holds.
    Wait { probe: Probe },
    /// A named capture of each node's network.
    Observe { name: String },
    /// A test of the finished lab; failing it fails the step.
    Check { probe: Probe },
}

impl Action {
    /// The word that the lab file uses for it.
    pub fn verb(&self) -> &'static str {
        match self {
            Self::Run { .. } => "run",
            Self::File { template: false, .. } => "upload",
            Self::File { .. } => "template",
            Self::Wait { .. } => "wait",
            Self::Observe { .. } => "observe",
            Self::Check { .. } => "check",
        }
    }
}

/// A readiness test inside a node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Probe {
    pub name: String,
    /// What it waits for, for people: "the API server answers".
    pub description: String,
    /// What to look at when it never holds.
    pub hint: Option<String>,
    /// A script that succeeds when it holds.
    pub script: String,
    /// The longest pause between two tries, in seconds.
    pub every: u64,
    /// Seconds until it is given up, on an accelerated node.
    pub timeout: u64,
    /// What the script may use beside the step's inputs.
    pub inputs: BTreeMap<String, Json>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subnets_know_their_addresses() {
        let lan = Subnet::parse("192.168.20.0/24").unwrap();
        assert!(lan.has_room_for(Ipv4Addr::new(192, 168, 20, 100)));
        for outside in [[192, 168, 20, 0], [192, 168, 20, 255], [192, 168, 21, 1]] {
            assert!(!lan.has_room_for(outside.into()), "{outside:?}");
        }
        assert!(lan.overlaps(Subnet::parse("192.168.0.0/16").unwrap()));
        assert!(!lan.overlaps(Subnet::parse("192.168.21.0/24").unwrap()));
        assert!(Subnet::parse("0.0.0.0/0").unwrap().overlaps(lan));
    }

    #[test]
    fn subnets_are_refused_with_a_reason() {
        assert!(Subnet::parse("192.168.20.1/24").unwrap_err().contains("192.168.20.0/24"));
        for bad in ["192.168.20.0", "x/24", "10.0.0.0/33", "10.0.0.0/-1", ""] {
            assert!(Subnet::parse(bad).is_err(), "{bad}");
        }
    }
}
