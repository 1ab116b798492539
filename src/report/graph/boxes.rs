//! The picture for a terminal, of boxes.

use super::topology::{JointKind, NodeView, Topology};
use super::way::Stop;

/// Columns inside a node's box.
const INNER: usize = 30;
/// Columns between boxes.
const GAP: usize = 2;

/// The picture in at most `columns`; nodes that do not fit beside each other stand below. What a way passes is marked.
pub fn boxes(topology: &Topology, way: &[Stop], columns: usize) -> String {
    let across = ((columns + GAP) / (INNER + 4 + GAP)).max(1);
    let mut out = String::new();
    for row in topology.nodes.chunks(across) {
        let drawn: Vec<Vec<String>> = row.iter().map(|n| node(n, way)).collect();
        let height = drawn.iter().map(Vec::len).max().unwrap_or(0);
        let padded: Vec<Vec<String>> = drawn.into_iter().map(|lines| fill(lines, height)).collect();
        for line in 0..height {
            let parts: Vec<&str> = padded.iter().map(|n| n[line].as_str()).collect();
            out += &format!("{}\n", parts.join(&" ".repeat(GAP)).trim_end());
        }
        if topology.segment.is_some() {
            let drop = format!("{:5}║{}", "", " ".repeat(INNER - 2));
            out += &format!("{}\n", vec![drop; row.len()].join(&" ".repeat(GAP)).trim_end());
            let line: String = "═".repeat(row.len() * (INNER + 4 + GAP) - GAP);
            out += &format!("{line}\n");
        }
    }
    if let Some(segment) = &topology.segment {
        out += &format!("the nodes' segment {segment}\n");
    }
    joints(topology, &mut out);
    if !way.is_empty() {
        let names: Vec<String> = way.iter().map(|s| s.name().to_string()).collect();
        out += &format!("the way (marked ●): {}\n", names.join(" → "));
    }
    out
}

/// A box without its bottom, filled to a height; then the bottom.
fn fill(mut lines: Vec<String>, height: usize) -> Vec<String> {
    let bottom = lines.pop().unwrap_or_default();
    while lines.len() + 1 < height {
        lines.push(format!("│ {:INNER$} │", ""));
    }
    lines.push(bottom);
    lines
}

fn node(view: &NodeView, way: &[Stop]) -> Vec<String> {
    let name: String = view.name.chars().take(INNER - 2).collect();
    let mut lines = vec![format!("┌─ {name} {}┐", "─".repeat(INNER - 1 - name.chars().count()))];
    let here = |of: &str| way.iter().any(|s| s.node() == Some(view.name.as_str()) && s.name() == of);
    let mut line = |of: &str, left: &str, right: &str| {
        let mark = if here(of) { '●' } else { ' ' };
        lines.push(format!("│{mark}{} │", columns(left, right)));
    };
    for pod in &view.pods {
        line(&pod.name, pod.name.rsplit('/').next().unwrap_or_default(), &pod.address);
    }
    if let Some((name, address)) = &view.bridge {
        line(name, &format!("└ {name}"), address);
    }
    if let Some((name, address)) = &view.tunnel {
        line(name, &format!("  └ {name}"), address);
    }
    for (name, address) in &view.devices {
        line(name, name, address);
    }
    let foot = if view.uplink.is_some() {
        format!("────╥{}", "─".repeat(INNER - 3))
    } else {
        "─".repeat(INNER + 2)
    };
    lines.push(format!("└{foot}┘"));
    lines
}

/// Two texts at both ends of a line; the first is cut where they do not fit.
fn columns(left: &str, right: &str) -> String {
    let room = INNER.saturating_sub(right.chars().count() + 1);
    let left: String = if left.chars().count() > room {
        left.chars().take(room.saturating_sub(1)).chain(['…']).collect()
    } else {
        left.to_string()
    };
    let space = INNER.saturating_sub(left.chars().count() + right.chars().count());
    format!("{left}{}{right}", " ".repeat(space))
}

fn joints(topology: &Topology, out: &mut String) {
    let name = |index: usize| topology.nodes.get(index).map_or("", |n| n.name.as_str());
    for joint in &topology.joints {
        let how = match joint.kind {
            JointKind::Vxlan { id, port } => format!("VXLAN {id} in UDP {port}"),
            JointKind::Routes => "plain routes, no tunnel".to_string(),
        };
        *out += &format!("{} ↔ {}: {how}\n", name(joint.between.0), name(joint.between.1));
    }
}

#[cfg(test)]
mod tests {
    use super::super::{topology, way};
    use super::*;
    use crate::observe::{explain, fixture};

    #[test]
    fn every_line_of_a_box_is_as_wide() {
        let mut nodes = fixture::nodes();
        nodes[0].cluster = Some(fixture::cluster());
        let drawn = boxes(&topology(&nodes), &[], 120);
        let widths: Vec<usize> = drawn.lines().take_while(|l| !l.starts_with('═')).map(|l| l.chars().count()).collect();
        let full = 3 * (INNER + 4) + 2 * GAP;
        assert!(widths[..widths.len() - 1].iter().all(|w| *w == full), "{widths:?}\n{drawn}");
        assert!(drawn.contains("192.168.20.102/24") && drawn.contains("flannel-ctr ↔ flannel-w2: VXLAN 1 in UDP 8472"));
    }

    #[test]
    fn nodes_stand_below_each_other_on_a_narrow_screen_and_the_way_is_marked() {
        let (mut nodes, cluster) = (fixture::nodes(), fixture::cluster());
        nodes[0].cluster = Some(cluster.clone());
        let explained = explain::pod_to_pod("curl-pod", "webpod-55ff548fc7-x9csv", &nodes, &cluster).unwrap();
        let stops = way(&explained.there, &explained.to, &|_| Some("eth1".to_string()));
        let drawn = boxes(&topology(&nodes), &stops, 40);
        assert!(drawn.lines().all(|l| l.chars().count() <= 40 || l.contains('↔') || l.contains('→')), "{drawn}");
        assert!(drawn.contains("│●curl-pod") && drawn.contains("│●  └ flannel.1"), "{drawn}");
        assert!(drawn.contains("→ the segment →"));
    }
}
