//! An observation: what one node's network looked like at one instant, typed.

use super::cluster::Cluster;
use super::conntrack::Connection;
use super::rules::Ruleset;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The version of [`Observation`]'s JSON. Fields may be added under the same number; a changed meaning takes the next.
pub const SCHEMA: u32 = 1;

/// A typed capture of a node's links, addresses, routes, neighbours, FDB, rules and settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Observation {
    pub schema: u32,
    /// The lab's name for the node.
    pub node: String,
    pub links: Vec<Link>,
    pub addresses: Vec<Address>,
    /// Policy rules (`ip rule`), in order of preference.
    pub policy: Vec<PolicyRule>,
    /// Routes of all tables and both families.
    pub routes: Vec<Route>,
    pub neighbours: Vec<Neighbour>,
    pub fdb: Vec<FdbEntry>,
    /// iptables' rules for IPv4.
    pub rules: Ruleset,
    /// iptables' rules for IPv6.
    pub rules6: Ruleset,
    pub sysctls: BTreeMap<String, String>,
    /// nft's tables, as `ip kube-proxy`.
    pub nft_tables: Vec<String>,
    /// Lines of /proc/net/ip_vs that name a virtual server.
    pub ipvs_services: Vec<String>,
    /// Connections that the kernel tracks; captured only where asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub connections: Vec<Connection>,
    /// The cluster's own objects, where this node could ask for them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<Cluster>,
    /// Files by path.
    pub files: BTreeMap<String, String>,
    /// What a person would have seen, by command; for showing.
    pub texts: BTreeMap<String, String>,
    /// Exit status of each section that did not end with 0; -1 where the capture broke off inside it.
    pub failed: BTreeMap<String, i32>,
    /// Lines that were not understood.
    pub raw: Vec<RawLine>,
    /// What a reader of this observation should know.
    pub notes: Vec<Note>,
}

impl Default for Observation {
    fn default() -> Self {
        Self {
            schema: SCHEMA,
            node: String::new(),
            links: Vec::new(),
            addresses: Vec::new(),
            policy: Vec::new(),
            routes: Vec::new(),
            neighbours: Vec::new(),
            fdb: Vec::new(),
            rules: Ruleset::default(),
            rules6: Ruleset::default(),
            sysctls: BTreeMap::new(),
            nft_tables: Vec::new(),
            ipvs_services: Vec::new(),
            connections: Vec::new(),
            cluster: None,
            files: BTreeMap::new(),
            texts: BTreeMap::new(),
            failed: BTreeMap::new(),
            raw: Vec::new(),
            notes: Vec::new(),
        }
    }
}

impl Observation {
    /// The link of this name.
    pub fn link(&self, name: &str) -> Option<&Link> {
        self.links.iter().find(|l| l.name == name)
    }

    /// Whether the section was captured; an absent FDB is something else than an empty one.
    pub fn has(&self, section: &str) -> bool {
        !self.failed.contains_key(section)
    }

    /// Whether the node itself has this address on any link.
    pub fn owns(&self, address: &str) -> bool {
        self.addresses.iter().any(|a| a.address == address)
    }
}

/// A network interface.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Link {
    pub index: u32,
    pub name: String,
    /// `vxlan`, `bridge`, `veth`; none for hardware and lo.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    pub flags: Vec<String>,
    /// `UP`, `DOWN`, `UNKNOWN` (tunnels and lo are UNKNOWN when they work).
    pub state: String,
    /// In bytes.
    pub mtu: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
    /// The bridge it is a port of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub master: Option<String>,
    /// The index of its other end, in the other end's namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer_index: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vxlan: Option<Vxlan>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub altnames: Vec<String>,
}

/// What makes a link a VXLAN tunnel.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Vxlan {
    /// The network identifier (VNI).
    pub id: u32,
    /// The UDP port that packets are sent to: 8472 is Linux's and flannel's, 4789 IANA's.
    pub port: u16,
    /// The link below.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dev: Option<String>,
    /// The outer source address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub local: Option<String>,
    /// Whether it learns from traffic which peer has which MAC. flannel writes them instead.
    pub learning: bool,
}

/// An address of a link.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Address {
    pub dev: String,
    pub address: String,
    pub prefix: u8,
    pub scope: String,
    /// Whether it was leased (DHCP).
    pub dynamic: bool,
    /// Seconds left; none when it stays.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lifetime: Option<u32>,
}

/// A policy rule: which table is asked for which packets.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct PolicyRule {
    pub preference: u32,
    pub table: String,
    /// Selectors as `from 10.0.0.0/8`, `fwmark 0x100`; none when it holds for every packet.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub selectors: Vec<String>,
}

/// A route of any table.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Route {
    /// `default`, an address or a prefix.
    pub destination: String,
    /// Whether the family is IPv6.
    pub ipv6: bool,
    /// `main`, `local`, or a number.
    pub table: String,
    /// `unicast`, `local`, `broadcast`, `blackhole`.
    pub kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub via: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dev: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric: Option<u32>,
    /// The gateway counts as a neighbour although no prefix of the link covers it.
    pub onlink: bool,
    /// Several ways of equal cost; empty when there is one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub nexthops: Vec<Nexthop>,
}

/// One of several ways of a route.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Nexthop {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub via: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dev: Option<String>,
    pub weight: u32,
}

/// Which MAC answers for an address on a link.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Neighbour {
    pub dev: String,
    pub address: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
    /// `PERMANENT` was written by someone; the others were learned and expire.
    pub states: Vec<String>,
}

/// Where a bridge or tunnel sends frames for a MAC.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct FdbEntry {
    pub dev: String,
    pub mac: String,
    /// The peer's outer address, on a VXLAN link.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vlan: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub master: Option<String>,
    /// `permanent`, `static`, or empty when learned.
    pub state: String,
    pub flags: Vec<String>,
}

/// A line that was not understood, kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RawLine {
    pub section: String,
    pub text: String,
}

/// Something a reader should know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    pub section: String,
    pub text: String,
}
