//! What a finished lab must look like: typed expectations, held against observations by `lab check`.

mod file;
mod resolve;

pub(super) use file::{CheckFile, decode};
pub(super) use resolve::resolve;

use super::model::Subnet;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A named expectation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// For people: "flannel.1 carries pods between nodes".
    pub name: String,
    /// The nodes it must hold on, in the lab's order.
    pub on: Vec<String>,
    pub expect: Expect,
    /// What to look at when it does not hold.
    pub hint: Option<String>,
}

/// What is expected; exactly one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expect {
    /// A link of this name.
    Link { name: String, kind: Option<String>, mtu: Option<u32> },
    /// Routes of any table.
    Route(RouteExpect),
    /// A chain of iptables.
    Chain { table: String, name: String },
    /// Pods with these labels.
    Pods(PodsExpect),
    /// A service, `namespace/name`, that answers this many connections from a pod, from all its endpoints.
    Service { name: String, requests: u32 },
    /// A script that succeeds, once, within these seconds on an accelerated node. A template.
    Run { script: String, timeout: u64 },
}

/// Which routes, and how many.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct RouteExpect {
    /// The destination as `ip route` writes it.
    pub to: Option<String>,
    /// A network that the destination lies in, as a part of it.
    pub within: Option<Subnet>,
    pub via: Option<String>,
    pub dev: Option<String>,
    /// Exactly this many; at least one where it is not said.
    pub count: Option<u32>,
}

/// Which pods, how many and where.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct PodsExpect {
    pub namespace: String,
    pub labels: BTreeMap<String, String>,
    /// At least this many are Ready.
    pub ready: u32,
    /// On at least this many different nodes.
    pub nodes: u32,
    /// All of them on this node.
    pub node: Option<String>,
}

impl Expect {
    /// The word that the lab file uses for it.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Link { .. } => "link",
            Self::Route(_) => "route",
            Self::Chain { .. } => "chain",
            Self::Pods(_) => "pods",
            Self::Service { .. } => "service",
            Self::Run { .. } => "run",
        }
    }
}

#[cfg(test)]
mod tests;
