use super::*;
use crate::observe::fixture;
use crate::observe::observation::Link;
use crate::observe::rules::{Counters, Ruleset};
use proptest::prelude::*;

fn lines(diff: &Diff) -> Vec<String> {
    diff.changes().map(|c| format!("{:?} {}", c.kind, c.fact().unwrap().line())).collect()
}

#[test]
fn what_flannel_did() {
    let diff = diff(&fixture::before("flannel-w1"), &fixture::after("flannel-w1"));
    let titles: Vec<String> = diff.groups.iter().map(|g| g.subject.title()).collect();
    for title in ["link flannel.1", "link cni0", "chain nat FLANNEL-POSTRTG", "chain filter FLANNEL-FWD", "files"] {
        assert!(titles.contains(&title.to_string()), "{title} in {titles:?}");
    }
    let shown = text(&diff, &Options::default());
    for part in [
        "+ link flannel.1 vxlan id 1 port 8472 dev eth1 local 192.168.20.101 mtu 1450",
        "+ route 10.244.0.0/24 via 10.244.0.0 dev flannel.1 onlink",
        "+ neighbour 10.244.2.0 dev flannel.1 lladdr 32:cf:30:f8:5f:c7 PERMANENT",
        "+ fdb 32:cf:30:f8:5f:c7 dev flannel.1 dst 192.168.20.102 permanent",
        "+ address 10.244.1.1/24 dev cni0",
        "~ chain nat POSTROUTING",
        "not shown: changes by kube-proxy",
    ] {
        assert!(shown.contains(part), "{part}\n{shown}");
    }
    for part in ["fe80:", "33:33:", "KUBE-SEP-", "KUBE-SVC-", "table local", "\x1b"] {
        assert!(!shown.contains(part), "{part}\n{shown}");
    }
    let all = Options { colour: true, folded: vec![] };
    assert!(text(&diff, &all).contains("\x1b[32m+ -A KUBE-SVC-CNZCPOCNCNOROALA"));
    let markdown = markdown(&diff, &Options::default());
    assert!(markdown.contains("### + link flannel.1\n\nflannel: flanneld makes"), "{markdown}");
    let json = serde_json::to_string(&diff).unwrap();
    assert_eq!(serde_json::from_str::<Diff>(&json).unwrap(), diff);
    assert!(diff.changes().all(|c| c.owner.component != Component::Unknown));
}

#[test]
fn the_summary_is_short() {
    let (before, after) = (fixture::before("flannel-ctr"), fixture::after("flannel-ctr"));
    let shown = summary(&[(&before, &after)]).unwrap();
    let expected = "flannel-ctr
  link cni0: mtu 1450, 10.244.0.1/24
  routes dev cni0: 10.244.0.0/24
  link flannel.1: mtu 1450, vni 1, UDP port 8472 on eth1 (192.168.20.100), 10.244.0.0/32
  routes dev flannel.1: 10.244.1.0/24 via 10.244.1.0 onlink, 10.244.2.0/24 via 10.244.2.0 onlink
  FDB of flannel.1: 32:cf:30:f8:5f:c7 at 192.168.20.102, f6:4d:a8:6a:59:a0 at 192.168.20.101; 2 permanent neighbours
  chain filter FLANNEL-FWD: 2 rules
  chain nat FLANNEL-POSTRTG: 6 rules
  3 pod links on cni0
";
    assert!(shown.by_plugin);
    assert_eq!(shown.text, expected);
    assert_eq!(summary(&[(&after, &after)]), None);
    let of_two = summary(&[(&after, &after), (&before, &after)]).unwrap();
    assert!(of_two.text.starts_with("flannel-ctr\n  nothing\nflannel-ctr\n  link cni0"), "{}", of_two.text);
}

#[test]
fn the_summary_of_host_gw_shows_its_routes() {
    let (before, mut after) = (fixture::before("flannel-ctr"), fixture::after("flannel-ctr"));
    let tunnel = |dev: &str| dev == "flannel.1";
    after.links.retain(|l| !tunnel(&l.name));
    after.addresses.retain(|a| !tunnel(&a.dev));
    after.neighbours.retain(|n| !tunnel(&n.dev));
    after.fdb.retain(|f| !tunnel(&f.dev));
    for route in after.routes.iter_mut().filter(|r| r.dev.as_deref().is_some_and(tunnel)) {
        let peer = if route.destination == "10.244.1.0/24" { "192.168.20.101" } else { "192.168.20.102" };
        (route.dev, route.via, route.onlink) = (Some("eth1".into()), Some(peer.into()), false);
    }
    let shown = summary(&[(&before, &after)]).unwrap();
    let routes = "  routes dev eth1: 10.244.1.0/24 via 192.168.20.101, 10.244.2.0/24 via 192.168.20.102\n";
    assert!(shown.by_plugin && shown.text.contains(routes), "{}", shown.text);
}

#[test]
fn without_a_plugin_the_summary_tells_what_else_was_added() {
    let (before, mut after) = (fixture::before("flannel-ctr"), fixture::before("flannel-ctr"));
    let link = after.links.iter().find(|l| l.name == "eth1").unwrap().clone();
    after.links.push(Link { name: "lab0".into(), kind: Some("bridge".into()), mtu: 1500, ..link });
    let shown = summary(&[(&before, &before), (&before, &after)]).unwrap();
    assert_eq!(
        (shown.by_plugin, shown.text.as_str()),
        (false, "flannel-ctr\n  nothing\nflannel-ctr\n  link lab0: mtu 1500\n")
    );
}

#[test]
fn volatile_fields_are_ignored_and_counted() {
    let before = fixture::after("flannel-w1");
    let mut after = before.clone();
    for table in &mut after.rules.tables {
        table.heading.clear();
        table.rules.iter_mut().for_each(|r| r.counters = Some(Counters { packets: 1 << 40, bytes: 0 }));
    }
    let rename = |name: &mut String| *name = name.replace("veth4a3027d5", "vethdeadbeef");
    for link in &mut after.links {
        link.index += 7;
        rename(&mut link.name);
        if link.kind.as_deref() == Some("veth") {
            link.mac = Some("00:11:22:33:44:55".into());
        }
    }
    after.addresses.iter_mut().for_each(|a| {
        rename(&mut a.dev);
        a.lifetime = a.lifetime.map(|s| s + 5);
    });
    after.routes.iter_mut().filter_map(|r| r.dev.as_mut()).for_each(rename);
    after.fdb.iter_mut().for_each(|f| {
        rename(&mut f.dev);
        f.mac = f.mac.replace("26:a0:14:ec:0a:b4", "00:11:22:33:44:55");
    });
    after.neighbours.retain(|n| n.dev == "flannel.1");
    let mut rules = after.rules.tables.iter_mut().flat_map(|t| &mut t.rules);
    rules.find(|r| r.chain == "KUBE-SERVICES").unwrap().counters = None;
    let diff = diff(&before, &after);
    assert_eq!(lines(&diff), Vec::<String>::new());
    let names: Vec<&str> = ignored_rules().iter().map(|r| r.name).collect();
    for rule in ["counters", "ifindex", "lifetime", "veth-suffix", "veth-mac", "neighbour-learned", "ipv6-link-local"] {
        assert!(diff.ignored[rule] > 0, "{rule}: {:?}", diff.ignored);
    }
    assert!(diff.ignored.keys().all(|r| names.contains(&r.as_str())));
}

#[test]
fn a_changed_link_and_a_removed_route() {
    let before = fixture::after("flannel-w1");
    let mut after = before.clone();
    after.links.iter_mut().find(|l| l.name == "flannel.1").unwrap().mtu = 1400;
    after.routes.retain(|r| r.destination != "10.244.2.0/24");
    let diff = diff(&before, &after);
    assert_eq!(diff.groups.len(), 1);
    let shown = text(&diff, &Options::default());
    assert!(shown.contains("~ link flannel.1\n"), "{shown}");
    assert!(shown.contains("- link flannel.1") && shown.contains("mtu 1400"), "{shown}");
    assert!(shown.contains("- route 10.244.2.0/24 via 10.244.2.0 dev flannel.1 onlink"), "{shown}");
}

#[test]
fn order_counts_but_not_in_kube_services() {
    let with = |rules: &str| Observation {
        rules: Ruleset::parse(&format!("*nat\n{rules}COMMIT\n")),
        ..Observation::default()
    };
    let a = with("-A X -j A\n-A X -j B\n-A X -j C\n-A KUBE-SERVICES -j A\n-A KUBE-SERVICES -j B\n");
    let b = with("-A X -j B\n-A X -j A\n-A X -j D\n-A KUBE-SERVICES -j B\n-A KUBE-SERVICES -j A\n");
    let diff = diff(&a, &b);
    assert_eq!(
        lines(&diff),
        ["Added -A X -j D", "Removed -A X -j C", "Changed X: its 2 older rules changed their order"]
    );
    assert_eq!(diff.ignored["kube-services-order"], 1);
}

#[test]
fn what_was_not_captured_is_not_compared() {
    let after = fixture::after("flannel-w1");
    let mut before = after.clone();
    before.fdb.clear();
    before.failed.insert("fdb".into(), 127);
    let diff = diff(&before, &after);
    assert!(diff.is_empty());
    assert_eq!(diff.notes, ["fdb: not compared, it was not captured before"]);
    assert!(text(&diff, &Options::default()).contains("nothing changed"));
}

proptest! {
    #[test]
    fn twice_the_same_is_no_difference(rules in "(-A [XY] -j [AB]\n){0,8}") {
        let seen = Observation { rules: Ruleset::parse(&format!("*nat\n{rules}COMMIT\n")), ..Observation::default() };
        prop_assert!(diff(&seen, &seen).is_empty());
    }
}
