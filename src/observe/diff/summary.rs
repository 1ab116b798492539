//! The few lines that tell what a CNI added to each node, for the end of a run.

use super::super::fact::{Fact, Subject};
use super::super::observation::Observation;
use super::super::owner::Component;
use super::super::paint::count;
use super::{Change, Diff, Kind, diff};

/// Per node, what the CNI added: its links, the peers' routes, FDB and neighbour entries, its chains.
pub fn summary(pairs: &[(&Observation, &Observation)]) -> String {
    let of_cni = |c| {
        use Component::*;
        matches!(c, Flannel | BridgePlugin | PortMap | Calico | Cilium)
    };
    let mut out = String::new();
    for (before, after) in pairs {
        let diff = diff(before, after).only(of_cni);
        out += &format!("{}\n", after.node);
        let lines = lines(&diff);
        if lines.is_empty() {
            out += "  nothing was added by a CNI\n";
        }
        lines.iter().for_each(|l| out += &format!("  {l}\n"));
    }
    out
}

fn lines(diff: &Diff) -> Vec<String> {
    let mut lines = Vec::new();
    let mut pods = 0;
    for group in &diff.groups {
        let added: Vec<&Fact> = group.changes.iter().filter_map(added).collect();
        match &group.subject {
            Subject::Link { name } if name.starts_with("veth") => pods += 1,
            Subject::Link { name } => lines.extend(link(name, &added)),
            Subject::Chain { table, name, ipv6: false } if group.kind == Kind::Added => {
                let rules = added.iter().filter(|f| matches!(f, Fact::Rule { .. })).count();
                lines.push(format!("chain {table} {name}: {}", count(rules, "rule")));
            }
            _ => {}
        }
    }
    if pods > 0 {
        lines.push(format!("{} on cni0", count(pods, "pod link")));
    }
    lines
}

fn added(change: &Change) -> Option<&Fact> {
    change.after.as_ref().filter(|_| change.kind == Kind::Added)
}

fn link(name: &str, added: &[&Fact]) -> Vec<String> {
    let mut lines = Vec::new();
    let (mut routes, mut peers) = (Vec::new(), Vec::new());
    let address = added.iter().find_map(|f| match f {
        Fact::Address(a) => Some(format!(", {}/{}", a.address, a.prefix)),
        _ => None,
    });
    for fact in added {
        match fact {
            Fact::Link(l) => {
                let mut line = format!("link {name}: mtu {}", l.mtu);
                if let Some(v) = &l.vxlan {
                    line += &format!(", vni {}, UDP port {}", v.id, v.port);
                    line += &v.dev.as_deref().map(|d| format!(" on {d}")).unwrap_or_default();
                    line += &v.local.as_deref().map(|a| format!(" ({a})")).unwrap_or_default();
                }
                lines.push(line + address.as_deref().unwrap_or(""));
            }
            Fact::Route(r) => {
                let via = r.via.as_deref().map(|v| format!(" via {v}")).unwrap_or_default();
                routes.push(format!("{}{via}{}", r.destination, if r.onlink { " onlink" } else { "" }));
            }
            Fact::Fdb(f) => peers.extend(f.destination.as_deref().map(|d| format!("{} at {d}", f.mac))),
            _ => {}
        }
    }
    let neighbours = added.iter().filter(|f| matches!(f, Fact::Neighbour(_))).count();
    if !routes.is_empty() {
        lines.push(format!("routes dev {name}: {}", routes.join(", ")));
    }
    if !peers.is_empty() {
        let neighbours = count(neighbours, "permanent neighbour");
        lines.push(format!("FDB of {name}: {}; {neighbours}", peers.join(", ")));
    }
    lines
}
