//! The picture as SVG, in the colours that the reader's screen prefers.

use super::place::{Area, Layout, MARGIN, shown_pods};
use super::topology::{JointKind, NodeView, Topology};
use super::way::Stop;
use crate::report::html::escape;

/// Colours of both kinds of screen; what a page says around it wins nothing here.
const STYLE: &str = "\
.lab-graph{--bg:#ffffff;--node:#f4f6f9;--line:#8a94a3;--text:#1c2330;--soft:#5b6675;--pod:#dbeafe;--bridge:#dcfce7;\
--tunnel:#fae8ff;--device:#e7eaf0;--flow:#c2410c;--vxlan:#a21caf}\
@media(prefers-color-scheme:dark){.lab-graph{--bg:#12161d;--node:#1c222c;--line:#66717f;--text:#e7ebf1;--soft:#a4afbd;\
--pod:#1e3a5f;--bridge:#14432a;--tunnel:#4a1652;--device:#2a323e;--flow:#fb923c;--vxlan:#e879f9}}\
.lab-graph text{font:13px system-ui,'Noto Sans',sans-serif;fill:var(--text)}\
.lab-graph .small{font-size:11px;fill:var(--soft)}.lab-graph .name{font-weight:600;font-size:15px}\
.lab-graph rect{stroke:var(--line);stroke-width:1}.lab-graph .wire{stroke:var(--line);stroke-width:1.5;fill:none}\
.lab-graph .segment{stroke:var(--line);stroke-width:6;stroke-linecap:round}\
.lab-graph .vxlan{stroke:var(--vxlan);stroke-width:2;stroke-dasharray:6 5;fill:none}\
.lab-graph .flow{stroke:var(--flow);stroke-width:3.5;fill:none;stroke-linejoin:round;opacity:.85}";

/// The picture as a file of its own, with the way of a packet where one is given.
pub fn svg(topology: &Topology, way: &[Stop]) -> String {
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{}", svg_in_page(topology, way))
}

/// The picture as an element of a page.
pub fn svg_in_page(topology: &Topology, way: &[Stop]) -> String {
    let layout = Layout::new(topology);
    let (width, height) = (layout.width(), layout.height());
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"lab-graph\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         height=\"{height}\" role=\"img\">\n<title>{}</title>\n<style>{STYLE}</style>\n",
        escape(&title(topology))
    );
    out += &format!(
        "<rect x=\"0\" y=\"0\" width=\"{width}\" height=\"{height}\" style=\"fill:var(--bg);stroke:none\"/>\n"
    );
    segment(topology, &layout, &mut out);
    for (index, view) in topology.nodes.iter().enumerate() {
        node(index, view, &layout, &mut out);
    }
    flow(topology, &layout, way, &mut out);
    out + "</svg>\n"
}

fn title(topology: &Topology) -> String {
    let names: Vec<&str> = topology.nodes.iter().map(|n| n.name.as_str()).collect();
    format!("The network of {}", names.join(", "))
}

fn segment(topology: &Topology, layout: &Layout, out: &mut String) {
    let joints: Vec<(i32, i32)> = (0..topology.nodes.len()).filter_map(|i| layout.joint(i)).collect();
    let y = layout.segment_y();
    if let (Some(name), Some(first), Some(last)) = (&topology.segment, joints.first(), joints.last()) {
        let (from, to) = (first.0 - 40, last.0 + 40);
        *out += &format!("<line class=\"segment\" x1=\"{from}\" y1=\"{y}\" x2=\"{to}\" y2=\"{y}\"/>\n");
        label(out, "small", MARGIN, y - 12, "start", &format!("the nodes' segment {name}"));
    }
    for joint in &topology.joints {
        let (Some(a), Some(b)) = (layout.joint(joint.between.0), layout.joint(joint.between.1)) else { continue };
        let depth = 20 + 34 * (joint.between.1 - joint.between.0) as i32;
        let (x, low) = ((a.0 + b.0) / 2, y + depth);
        let (class, text) = match joint.kind {
            JointKind::Vxlan { id, port } => ("vxlan", format!("VXLAN {id}, UDP {port}")),
            JointKind::Routes => ("wire", "routes, no tunnel".to_string()),
        };
        // A quadratic curve comes half as low as its control point.
        let control = 2 * low - y;
        *out += &format!("<path class=\"{class}\" d=\"M{} {} Q{x} {control} {} {}\"/>\n", a.0, y + 4, b.0, y + 4);
        label(out, "small", x, low - 11, "middle", &text);
    }
}

fn node(index: usize, view: &NodeView, layout: &Layout, out: &mut String) {
    let area = layout.node(index);
    rect(out, area, "--node", 10);
    label(out, "name", area.x + 14, area.y + 22, "start", &view.name);
    let shown = shown_pods(view);
    for (number, pod) in view.pods.iter().take(shown).enumerate() {
        let hidden = view.pods.len() - shown;
        let place = layout.pod(index, number);
        if view.bridge.is_some() {
            let (x, top) = (place.middle().0, place.y + place.height);
            wire(out, (x, top), (x, layout.bridge(index).y));
        }
        rect(out, place, "--pod", 6);
        if hidden > 0 && number + 1 == shown {
            label(out, "", place.middle().0, place.y + 24, "middle", &format!("and {} more", hidden + 1));
        } else {
            two_lines(out, place, pod.name.rsplit('/').next().unwrap_or_default(), &pod.address);
        }
    }
    if let Some((name, address)) = &view.bridge {
        let place = layout.bridge(index);
        rect(out, place, "--bridge", 6);
        two_lines(out, place, &format!("{name}, the pods' bridge"), address);
    }
    if let Some((name, address)) = &view.tunnel {
        let place = layout.tunnel(index);
        if view.bridge.is_some() {
            wire(out, (place.middle().0, layout.bridge(index).y + place.height), (place.middle().0, place.y));
        }
        rect(out, place, "--tunnel", 6);
        let vxlan = view.vxlan.map(|(id, port)| format!(", VXLAN {id}, UDP {port}")).unwrap_or_default();
        two_lines(out, place, &format!("{name}{vxlan}"), address);
    }
    for (number, (name, address)) in view.devices.iter().enumerate() {
        let place = layout.device(index, number, view.devices.len());
        let uplink = Some(name) == view.uplink.as_ref();
        if uplink {
            let above = if view.tunnel.is_some() { layout.tunnel(index) } else { layout.bridge(index) };
            if view.tunnel.is_some() || view.bridge.is_some() {
                wire(out, (place.middle().0, above.y + above.height), (place.middle().0, place.y));
            }
            wire(out, (place.middle().0, place.y + place.height), (place.middle().0, layout.segment_y()));
        }
        rect(out, place, "--device", 6);
        let what = if uplink { name.clone() } else { format!("{name}, NAT") };
        let what = if address.starts_with("10.0.2.") || uplink { what } else { name.clone() };
        two_lines(out, place, &what, address);
    }
}

fn flow(topology: &Topology, layout: &Layout, way: &[Stop], out: &mut String) {
    let place = |stop: Option<&Stop>| {
        let node = stop.and_then(Stop::node)?;
        topology.nodes.iter().position(|v| v.name == node)
    };
    let mut points: Vec<(i32, i32)> = Vec::new();
    let mut rising = false;
    for (at, stop) in way.iter().enumerate() {
        if *stop == Stop::Segment {
            // Down to the segment, along it, and up again.
            let ends = [at.checked_sub(1).and_then(|i| way.get(i)), way.get(at + 1)];
            points.extend(ends.into_iter().filter_map(place).map(|i| layout.landing(i)));
            rising = true;
            continue;
        }
        let mut corners = layout.corners(stop);
        if rising {
            corners.reverse();
        }
        points.extend(corners);
    }
    // On one node the way turns at the bridge.
    if let (Some(last @ Stop::Pod { .. }), false) = (way.last(), rising) {
        let corners = layout.corners(last).len();
        let at = points.len() - corners;
        points[at..].reverse();
    }
    let (Some(first), Some(last)) = (points.first(), points.last()) else { return };
    let text: Vec<String> = points.iter().map(|(x, y)| format!("{x},{y}")).collect();
    *out += &format!("<polyline class=\"flow\" points=\"{}\"/>\n", text.join(" "));
    for (x, y) in [first, last] {
        *out += &format!("<circle cx=\"{x}\" cy=\"{y}\" r=\"5\" style=\"fill:var(--flow)\"/>\n");
    }
}

fn rect(out: &mut String, area: Area, colour: &str, radius: i32) {
    let Area { x, y, width, height } = area;
    *out += &format!(
        "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"{radius}\" style=\"fill:var({colour})\"/>\n"
    );
}

fn wire(out: &mut String, from: (i32, i32), to: (i32, i32)) {
    *out += &format!("<path class=\"wire\" d=\"M{} {} L{} {}\"/>\n", from.0, from.1, to.0, to.1);
}

fn two_lines(out: &mut String, area: Area, first: &str, second: &str) {
    let x = area.middle().0;
    // About seven pixels a letter: what is longer is cut, the whole name stays as a tooltip.
    let room = usize::try_from(area.width / 7).unwrap_or(1);
    let cut: String = if first.chars().count() > room {
        first.chars().take(room.saturating_sub(1)).chain(['…']).collect()
    } else {
        first.to_string()
    };
    *out += &format!(
        "<text x=\"{x}\" y=\"{}\" text-anchor=\"middle\">{}<title>{}</title></text>\n",
        area.y + 17,
        escape(&cut),
        escape(first)
    );
    label(out, "small", x, area.y + 32, "middle", second);
}

fn label(out: &mut String, class: &str, x: i32, y: i32, anchor: &str, text: &str) {
    *out += &format!("<text class=\"{class}\" x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\">{}</text>\n", escape(text));
}

#[cfg(test)]
mod tests {
    use super::super::{topology, way};
    use super::*;
    use crate::observe::{explain, fixture};

    #[test]
    fn everything_of_the_lab_is_in_the_picture() {
        let (mut nodes, cluster) = (fixture::nodes(), fixture::cluster());
        nodes[0].cluster = Some(cluster.clone());
        let explained = explain::pod_to_pod("curl-pod", "webpod-55ff548fc7-x9csv", &nodes, &cluster).unwrap();
        let stops = way(&explained.there, &explained.to, &|_| Some("eth1".to_string()));
        let picture = svg(&topology(&nodes), &stops);
        for part in [
            "flannel-ctr",
            "flannel-w2",
            "cni0",
            "flannel.1, VXLAN 1, UDP 8472",
            "192.168.20.101/24",
            "10.0.2.15/24",
            "curl-pod",
            "10.244.1.2",
            "class=\"flow\"",
            "prefers-color-scheme:dark",
        ] {
            assert!(picture.contains(part), "{part}");
        }
        assert_eq!(picture.matches("class=\"vxlan\"").count(), 3);
        assert!(!picture.contains("http://") || picture.matches("http://").count() == 1, "only the namespace");
    }

    #[test]
    fn names_cannot_break_out() {
        let view = NodeView { name: "<script>\"&".into(), ..NodeView::default() };
        let picture = svg(&Topology { nodes: vec![view], ..Topology::default() }, &[]);
        assert!(picture.contains("&lt;script&gt;&quot;&amp;") && !picture.contains("<script>"));
    }
}
