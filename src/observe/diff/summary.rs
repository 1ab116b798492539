//! The few lines that tell what was added to each node's network, for the end of a run.

use super::super::fact::{Fact, Subject};
use super::super::observation::Observation;
use super::super::owner::{BUILT_IN, Component};
use super::super::paint::count;
use super::{Change, Diff, Kind, diff};

/// What was added from one observation to the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Whether a network plugin did it: only its doing is told then.
    pub by_plugin: bool,
    /// Per node the links, the routes, FDB and neighbour entries of each, and chains.
    pub text: String,
}

/// What was added to the nodes; None where nothing was.
pub fn summary(pairs: &[(&Observation, &Observation)]) -> Option<Summary> {
    let of_plugin = |c| {
        use Component::*;
        matches!(c, Flannel | BridgePlugin | PortMap | Calico | Cilium)
    };
    let diffs: Vec<Diff> = pairs.iter().map(|(before, after)| diff(before, after)).collect();
    let by_plugin = diffs.iter().any(|d| !lines(&d.only(of_plugin), true).is_empty());
    // What is said in full only by `diff --all`.
    let of_others = |c| !matches!(c, Component::KubeProxy | Component::Kubelet);
    let of_node = |diff: &Diff| {
        let shown = if by_plugin { diff.only(of_plugin) } else { diff.only(of_others) };
        (diff.node.clone(), lines(&shown, by_plugin))
    };
    let nodes: Vec<(String, Vec<String>)> = diffs.iter().map(of_node).collect();
    if nodes.iter().all(|(_, lines)| lines.is_empty()) {
        return None;
    }
    let mut text = String::new();
    for (node, lines) in nodes {
        text += &format!("{node}\n");
        if lines.is_empty() {
            text += "  nothing\n";
        }
        lines.iter().for_each(|l| text += &format!("  {l}\n"));
    }
    Some(Summary { by_plugin, text })
}

/// Where a network plugin works, pods' links are counted instead of named.
fn lines(diff: &Diff, by_plugin: bool) -> Vec<String> {
    let mut lines = Vec::new();
    let mut pods = 0;
    for group in &diff.groups {
        let added: Vec<&Fact> = group.changes.iter().filter_map(added).collect();
        match &group.subject {
            Subject::Link { name } if by_plugin && name.starts_with("veth") => pods += 1,
            Subject::Link { name } => lines.extend(link(name, &added)),
            // Built-in chains come along with their table.
            Subject::Chain { table, name, ipv6: false }
                if group.kind == Kind::Added && !BUILT_IN.contains(&name.as_str()) =>
            {
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
