//! One thing that an observation holds, so that things of all kinds can be compared and shown alike.

use super::observation::{Address, FdbEntry, Link, Neighbour, Observation, PolicyRule, Route};
use super::owner::{self, Owner};
use super::rules::Rule;
use serde::{Deserialize, Serialize};

/// One thing that an observation holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fact", rename_all = "snake_case")]
pub enum Fact {
    Link(Link),
    Address(Address),
    Route(Route),
    Policy(PolicyRule),
    Neighbour(Neighbour),
    Fdb(FdbEntry),
    Chain {
        table: String,
        ipv6: bool,
        name: String,
        policy: Option<String>,
    },
    Rule {
        table: String,
        ipv6: bool,
        rule: Rule,
    },
    /// The order of the rules that a chain had before and has after.
    Order {
        table: String,
        ipv6: bool,
        chain: String,
        rules: Vec<String>,
    },
    Sysctl {
        key: String,
        value: String,
    },
    File {
        path: String,
        text: String,
    },
    NftTable {
        name: String,
    },
}

/// What facts stand together under.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "subject", rename_all = "snake_case")]
pub enum Subject {
    /// A link with its addresses, routes, neighbours and FDB entries.
    Link {
        name: String,
    },
    /// Routes that name no link, and policy rules.
    Routing,
    /// A chain with its rules.
    Chain {
        ipv6: bool,
        table: String,
        name: String,
    },
    Nft,
    Sysctls,
    Files,
}

impl Subject {
    /// A title: "link flannel.1", "chain nat FLANNEL-POSTRTG".
    pub fn title(&self) -> String {
        match self {
            Self::Link { name } => format!("link {name}"),
            Self::Routing => "routing".to_string(),
            Self::Chain { ipv6, table, name } => format!("chain {}{table} {name}", if *ipv6 { "ip6 " } else { "" }),
            Self::Nft => "nft tables".to_string(),
            Self::Sysctls => "kernel settings".to_string(),
            Self::Files => "files".to_string(),
        }
    }
}

impl Fact {
    /// What it stands under.
    pub fn subject(&self) -> Subject {
        let link = |name: &str| Subject::Link { name: name.to_string() };
        let chain =
            |ipv6: bool, table: &str, name: &str| Subject::Chain { ipv6, table: table.into(), name: name.to_string() };
        match self {
            Self::Link(l) => link(&l.name),
            Self::Address(a) => link(&a.dev),
            Self::Route(r) => r.dev.as_deref().map_or(Subject::Routing, link),
            Self::Policy(_) => Subject::Routing,
            Self::Neighbour(n) => link(&n.dev),
            Self::Fdb(f) => link(&f.dev),
            Self::Chain { table, ipv6, name, .. } => chain(*ipv6, table, name),
            Self::Rule { table, ipv6, rule } => chain(*ipv6, table, &rule.chain),
            Self::Order { table, ipv6, chain: name, .. } => chain(*ipv6, table, name),
            Self::Sysctl { .. } => Subject::Sysctls,
            Self::File { .. } => Subject::Files,
            Self::NftTable { .. } => Subject::Nft,
        }
    }

    /// What it is known by within its subject: two facts of one key are the same thing, perhaps changed.
    pub fn key(&self) -> String {
        match self {
            Self::Link(_) => "0 link".to_string(),
            Self::Address(a) => format!("1 address {}/{}", a.address, a.prefix),
            Self::Route(r) => {
                let family = if r.ipv6 { "6" } else { "4" };
                let metric = r.metric.map(|m| m.to_string()).unwrap_or_default();
                format!("2 route {family} {} {} {} {metric}", r.table, r.kind, r.destination)
            }
            Self::Policy(p) => format!("3 policy {} {}", p.preference, p.selectors.join(" ")),
            Self::Neighbour(n) => format!("4 neighbour {}", n.address),
            Self::Fdb(f) => {
                let vlan = f.vlan.map(|v| v.to_string()).unwrap_or_default();
                format!("5 fdb {} {vlan} {}", f.mac, f.destination.as_deref().unwrap_or(""))
            }
            Self::Chain { .. } => "6 chain".to_string(),
            Self::Rule { rule, .. } => format!("7 {}", rule.body()),
            Self::Order { .. } => "8 order".to_string(),
            Self::Sysctl { key, .. } => key.clone(),
            Self::File { path, .. } => path.clone(),
            Self::NftTable { name } => name.clone(),
        }
    }

    /// Who made it, on the node where this was seen.
    pub fn owner(&self, seen: &Observation) -> Owner {
        match self {
            Self::Link(l) => owner::of_link(l),
            Self::Address(a) => owner::of_address(&a.dev),
            Self::Route(r) => owner::of_route(r, seen),
            Self::Neighbour(n) => owner::of_neighbour(n),
            Self::Fdb(f) => owner::of_fdb(f),
            Self::Chain { name, .. } | Self::Order { chain: name, .. } => owner::of_chain(name),
            Self::Rule { rule, .. } => owner::of_rule(rule),
            Self::File { path, text } => owner::of_file(path, text),
            Self::Policy(p) => owner::of_policy(p.preference),
            Self::Sysctl { key, .. } => owner::of_setting(key),
            Self::NftTable { name } => owner::of_nft_table(name),
        }
    }

    /// One line, near to what `ip`, `bridge` and `iptables` would print.
    pub fn line(&self) -> String {
        match self {
            Self::Link(l) => link_line(l),
            Self::Address(a) => format!("address {}/{} dev {}{}", a.address, a.prefix, a.dev, scope(&a.scope)),
            Self::Route(r) => format!("route {}", route_line(r)),
            Self::Policy(p) => format!("rule {}: {} lookup {}", p.preference, from(&p.selectors), p.table),
            Self::Neighbour(n) => {
                let mac = n.mac.as_deref().map(|m| format!(" lladdr {m}")).unwrap_or_default();
                format!("neighbour {} dev {}{mac} {}", n.address, n.dev, n.states.join(","))
            }
            Self::Fdb(f) => {
                let to = f.destination.as_deref().map(|d| format!(" dst {d}")).unwrap_or_default();
                format!("fdb {} dev {}{to} {}", f.mac, f.dev, f.state).trim_end().to_string()
            }
            Self::Chain { name, policy, .. } => match policy {
                Some(policy) => format!("-P {name} {policy}"),
                None => format!("-N {name}"),
            },
            Self::Rule { rule, .. } => rule.body(),
            Self::Order { chain, rules, .. } => format!("{chain}: its {} older rules changed their order", rules.len()),
            Self::Sysctl { key, value } => format!("{key} = {value}"),
            Self::File { path, text } => format!("{path} ({} lines)", text.lines().count()),
            Self::NftTable { name } => format!("table {name}"),
        }
    }
}

fn scope(scope: &str) -> String {
    if scope.is_empty() || scope == "global" { String::new() } else { format!(" scope {scope}") }
}

fn from(selectors: &[String]) -> String {
    if selectors.is_empty() { "from all".to_string() } else { selectors.join(" ") }
}

fn link_line(l: &Link) -> String {
    let mut line = format!("link {}", l.name);
    if let Some(kind) = &l.kind {
        line += &format!(" {kind}");
    }
    if let Some(v) = &l.vxlan {
        line += &format!(" id {} port {}", v.id, v.port);
        for (name, value) in [("dev", &v.dev), ("local", &v.local)] {
            if let Some(value) = value {
                line += &format!(" {name} {value}");
            }
        }
    }
    if let Some(master) = &l.master {
        line += &format!(" master {master}");
    }
    line += &format!(" mtu {} state {}", l.mtu, l.state);
    if let Some(mac) = &l.mac {
        line += &format!(" mac {mac}");
    }
    line
}

/// A route as `ip route` prints it.
pub fn route_line(r: &Route) -> String {
    let mut line = String::new();
    if r.kind != "unicast" {
        line += &format!("{} ", r.kind);
    }
    line += &r.destination;
    let table = Some(r.table.clone()).filter(|t| t != "main");
    for (name, value) in [("via", &r.via), ("dev", &r.dev), ("table", &table), ("proto", &r.protocol)] {
        if let Some(value) = value {
            line += &format!(" {name} {value}");
        }
    }
    for (name, value) in [("scope", &r.scope), ("src", &r.source)] {
        if let Some(value) = value {
            line += &format!(" {name} {value}");
        }
    }
    if let Some(metric) = r.metric {
        line += &format!(" metric {metric}");
    }
    for hop in &r.nexthops {
        line +=
            &format!(" nexthop via {} dev {}", hop.via.as_deref().unwrap_or("-"), hop.dev.as_deref().unwrap_or("-"));
    }
    if r.onlink {
        line += " onlink";
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::fixture;

    #[test]
    fn routes_read_as_ip_prints_them() {
        let seen = fixture::after("flannel-ctr");
        let main = seen.routes.iter().filter(|r| r.table == "main" && !r.ipv6);
        let printed: Vec<String> = main.map(route_line).collect();
        let shown: Vec<&str> = seen.texts["ip route"].lines().map(str::trim).collect();
        assert_eq!(printed, shown);
    }
}
