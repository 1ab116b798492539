//! What a diff leaves out, by named rules: what changes by itself is not what a step did.

use super::super::fact::Fact;
use super::super::observation::{Link, Observation};

/// A named reason to leave something out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct IgnoredRule {
    pub name: &'static str,
    /// What is left out.
    pub what: &'static str,
    pub why: &'static str,
}

const RULES: [IgnoredRule; 14] = [
    rule("counters", "packets and bytes of rules and policies", "every packet changes them"),
    rule("generated-at", "comment lines of iptables-save", "they hold the time of the capture"),
    rule("ifindex", "the index of a link and of its other end", "the kernel counts up; a link made again gets another"),
    rule("lifetime", "the seconds an address has left", "DHCP renews them"),
    rule("veth-suffix", "the random part of a veth's name", "a pod that is made again gets another"),
    rule("veth-mac", "the MAC of a veth", "random with each pod"),
    rule("bridge-mac", "the MAC of a bridge", "a bridge takes over the lowest MAC of its ports"),
    rule(
        "kernel-local-table",
        "routes of table local made by the kernel",
        "each address brings them; the address is shown",
    ),
    rule(
        "ipv6-link-local",
        "fe80:: addresses and routes, ff00::/8",
        "the kernel makes them for every link from its MAC",
    ),
    rule("neighbour-learned", "neighbours that nobody wrote", "ARP learns and forgets them with the traffic"),
    rule("fdb-learned", "FDB entries that nobody wrote", "a bridge learns and forgets them with the traffic"),
    rule("fdb-multicast", "FDB entries for multicast MACs", "the kernel adds them to every link"),
    rule("fdb-own-mac", "FDB entries for a link's own MAC", "the kernel adds them with the link"),
    rule(
        "kube-services-order",
        "the order of rules in KUBE-SERVICES",
        "kube-proxy writes them in no fixed order; no two match one packet",
    ),
];

const fn rule(name: &'static str, what: &'static str, why: &'static str) -> IgnoredRule {
    IgnoredRule { name, what, why }
}

/// All rules by which a diff leaves something out.
pub fn ignored_rules() -> &'static [IgnoredRule] {
    &RULES
}

/// The rule by which the whole fact is left out, if one.
pub(super) fn whole(fact: &Fact, seen: &Observation) -> Option<&'static str> {
    match fact {
        Fact::Route(r) if is_link_local(&r.destination) => Some("ipv6-link-local"),
        Fact::Route(r) if r.table == "local" && r.protocol.as_deref() == Some("kernel") => Some("kernel-local-table"),
        Fact::Address(a) if is_link_local(&a.address) => Some("ipv6-link-local"),
        Fact::Neighbour(n) if !n.states.iter().any(|s| s == "PERMANENT") => Some("neighbour-learned"),
        Fact::Fdb(f) if is_multicast(&f.mac) => Some("fdb-multicast"),
        Fact::Fdb(f) if !matches!(f.state.as_str(), "permanent" | "static") => Some("fdb-learned"),
        Fact::Fdb(f) if f.destination.is_none() && seen.link(&f.dev).and_then(|l| l.mac.as_ref()) == Some(&f.mac) => {
            Some("fdb-own-mac")
        }
        _ => None,
    }
}

fn is_link_local(address: &str) -> bool {
    address.starts_with("fe80:") || address.starts_with("ff00:")
}

fn is_multicast(mac: &str) -> bool {
    ["33:33:", "01:00:5e:", "01:80:c2:"].iter().any(|p| mac.starts_with(p))
}

/// The volatile part of a fact, by the rule that leaves it out.
pub(super) fn volatile(fact: &Fact) -> Vec<(&'static str, String)> {
    match fact {
        Fact::Link(l) => {
            let mut parts = vec![("ifindex", format!("{} {:?}", l.index, l.peer_index))];
            parts.extend(mac_rule(l).map(|rule| (rule, l.mac.clone().unwrap_or_default())));
            parts
        }
        Fact::Address(a) => vec![("lifetime", format!("{:?}", a.lifetime))],
        Fact::Rule { rule, .. } => vec![("counters", format!("{:?}", rule.counters))],
        _ => Vec::new(),
    }
}

/// Takes the volatile part out.
pub(super) fn clear(fact: &mut Fact) {
    match fact {
        Fact::Link(l) => {
            (l.index, l.peer_index) = (0, None);
            if mac_rule(l).is_some() {
                l.mac = None;
            }
        }
        Fact::Address(a) => a.lifetime = None,
        Fact::Rule { rule, .. } => rule.counters = None,
        _ => {}
    }
}

fn mac_rule(link: &Link) -> Option<&'static str> {
    match link.kind.as_deref() {
        Some("veth") => Some("veth-mac"),
        Some("bridge") => Some("bridge-mac"),
        _ => None,
    }
}

/// New names for the veths of `before` that `after` has under another random suffix: (old, new).
pub(super) fn veth_names(before: &Observation, after: &Observation) -> Vec<(String, String)> {
    let gone = |from: &Observation, other: &Observation| -> Vec<Link> {
        let veth = |l: &&Link| l.kind.as_deref() == Some("veth") && other.link(&l.name).is_none();
        from.links.iter().filter(veth).cloned().collect()
    };
    let mut new = gone(after, before);
    let alike = |a: &Link, b: &Link| (&a.master, a.mtu, &a.state) == (&b.master, b.mtu, &b.state);
    let mut names = Vec::new();
    for old in gone(before, after) {
        if let Some(at) = new.iter().position(|n| alike(n, &old)) {
            names.push((old.name, new.remove(at).name));
        }
    }
    names
}
