//! Observations for tests, from what was captured on a running flannel lab.

use super::capture;
use super::cluster::Cluster;
use super::observation::Observation;

macro_rules! files {
    ($node:literal) => {
        [
            ("links", include_str!(concat!("../../tests/fixtures/flannel/", $node, "/link.json"))),
            ("addresses", include_str!(concat!("../../tests/fixtures/flannel/", $node, "/addr.json"))),
            ("routes", include_str!(concat!("../../tests/fixtures/flannel/", $node, "/route.json"))),
            ("neighbours", include_str!(concat!("../../tests/fixtures/flannel/", $node, "/neigh.json"))),
            ("fdb", include_str!(concat!("../../tests/fixtures/flannel/", $node, "/fdb.json"))),
            ("rules", include_str!(concat!("../../tests/fixtures/flannel/", $node, "/iptables-save.txt"))),
            (
                "file:/run/flannel/subnet.env",
                include_str!(concat!("../../tests/fixtures/flannel/", $node, "/subnet.env")),
            ),
            (
                "file:/etc/cni/net.d/10-flannel.conflist",
                include_str!(concat!("../../tests/fixtures/flannel/", $node, "/10-flannel.conflist")),
            ),
            ("text:ip link", include_str!(concat!("../../tests/fixtures/flannel/", $node, "/link.txt"))),
            ("text:ip route", include_str!(concat!("../../tests/fixtures/flannel/", $node, "/route.txt"))),
            ("sysctls", "net.ipv4.ip_forward = 1\nnet.bridge.bridge-nf-call-iptables = 1\n"),
        ]
    };
}

/// The capture's output for a node, as the script would have written it.
pub(crate) fn captured(node: &str) -> String {
    let files = match node {
        "flannel-ctr" => files!("flannel-ctr"),
        "flannel-w1" => files!("flannel-w1"),
        _ => files!("flannel-w2"),
    };
    wrap(&files)
}

/// Sections with their delimiters.
pub(crate) fn wrap(sections: &[(&str, &str)]) -> String {
    let mark = "@@lab-observe-b3f1c6d07a92@@";
    let section = |(name, body): &(&str, &str)| format!("{mark} begin {name}\n{body}\n{mark} end {name} 0\n");
    sections.iter().map(section).collect::<String>() + mark + " done\n"
}

/// A node of the lab, after flannel and the sample.
pub(crate) fn after(node: &str) -> Observation {
    capture::parse(node, &captured(node))
}

/// All nodes, after flannel and the sample.
pub(crate) fn nodes() -> Vec<Observation> {
    ["flannel-ctr", "flannel-w1", "flannel-w2"].map(after).to_vec()
}

/// The same node as it was before flannel: kube-proxy's rules for the API server only. Derived from [`after`], since
/// kube-proxy had not yet written when the lab was captured.
pub(crate) fn before(node: &str) -> Observation {
    let mut seen = after(node);
    let of_cni = |dev: &str| dev == "cni0" || dev.starts_with("flannel") || dev.starts_with("veth");
    seen.links.retain(|l| !of_cni(&l.name));
    seen.addresses.retain(|a| !of_cni(&a.dev));
    seen.routes.retain(|r| !r.dev.as_deref().is_some_and(of_cni));
    seen.neighbours.retain(|n| !of_cni(&n.dev));
    seen.fdb.retain(|f| !of_cni(&f.dev));
    seen.files.clear();
    let early = |chain: &str| {
        let late = chain.starts_with("KUBE-SVC-") || chain.starts_with("KUBE-SEP-") || chain.starts_with("FLANNEL-");
        !late || chain.ends_with("NPX46M4PTMTKRN6Y") || chain.ends_with("U7HH75UFG3U5VGYY")
    };
    for table in &mut seen.rules.tables {
        table.chains.retain(|c| early(&c.name));
        table.rules.retain(|r| early(&r.chain) && early(r.target()));
    }
    seen
}

/// The cluster's objects.
pub(crate) fn cluster() -> Cluster {
    Cluster::parse(include_str!("../../tests/fixtures/flannel/cluster.json")).expect("the fixture is JSON")
}

macro_rules! moment {
    ($name:literal) => {
        [
            include_str!(concat!("../../tests/fixtures/moments/", $name, "/flannel-ctr.txt")),
            include_str!(concat!("../../tests/fixtures/moments/", $name, "/flannel-w1.txt")),
            include_str!(concat!("../../tests/fixtures/moments/", $name, "/flannel-w2.txt")),
        ]
    };
}

/// What the three nodes said at a moment of the lesson: `before`, `after`, `sample`.
pub(crate) fn moment_texts(name: &str) -> [&'static str; 3] {
    match name {
        "before" => moment!("before"),
        "after" => moment!("after"),
        _ => moment!("sample"),
    }
}

/// The nodes at a moment of the lesson.
pub(crate) fn moment(name: &str) -> Vec<Observation> {
    let names = ["flannel-ctr", "flannel-w1", "flannel-w2"];
    names.iter().zip(moment_texts(name)).map(|(node, text)| capture::parse(node, text)).collect()
}
