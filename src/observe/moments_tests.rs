//! The lesson's moments, as they were captured: what must be found in them.

use super::diff::{self, Kind};
use super::explain;
use super::fact::{Fact, Subject};
use super::fixture::{moment, moment_texts};
use super::owner::Component;
use super::rules::Ruleset;

#[test]
fn no_line_is_unread_and_rules_print_as_they_were() {
    for name in ["before", "after", "sample"] {
        for (seen, text) in moment(name).iter().zip(moment_texts(name)) {
            assert!(seen.raw.is_empty(), "{name} {}: {:?}", seen.node, seen.raw);
            assert!(seen.notes.is_empty(), "{name} {}: {:?}", seen.node, seen.notes);
            for section in ["rules", "rules6"] {
                let body = text.split(&format!(" begin {section}\n")).nth(1).unwrap();
                let body = body.split("\n@@lab-observe").next().unwrap();
                assert!(body.contains("*nat"), "{section}");
                assert_eq!(Ruleset::parse(body).print().trim_end(), body.trim_end());
            }
        }
    }
}

#[test]
fn the_diff_shows_what_flannel_did_and_nothing_of_kube_proxy() {
    let with_pods: Vec<String> =
        moment("after").iter().filter(|n| n.link("cni0").is_some()).map(|n| n.node.clone()).collect();
    assert_eq!(with_pods.len(), 1, "CoreDNS' pods run on one node: {with_pods:?}");
    for (before, after) in moment("before").iter().zip(moment("after")) {
        let whole = diff::diff(before, &after);
        let shown = whole.only(|c| !diff::Options::default().folded.contains(&c));
        let added = |wanted: &dyn Fn(&Fact) -> bool| {
            let new = shown.changes().filter(|c| c.kind == Kind::Added).filter_map(|c| c.after.as_ref());
            new.filter(|f| wanted(f)).count()
        };
        let on = |dev: &str| dev == "flannel.1";
        assert_eq!(added(&|f| matches!(f, Fact::Link(l) if on(&l.name) && l.mtu == 1450 && l.vxlan.is_some())), 1);
        assert_eq!(added(&|f| matches!(f, Fact::Route(r) if r.dev.as_deref().is_some_and(on) && r.onlink)), 2);
        assert_eq!(added(&|f| matches!(f, Fact::Fdb(e) if on(&e.dev) && e.destination.is_some())), 2);
        assert_eq!(added(&|f| matches!(f, Fact::Neighbour(n) if on(&n.dev))), 2);
        let cni0 = added(&|f| matches!(f, Fact::Link(l) if l.name == "cni0"));
        assert_eq!(cni0, usize::from(with_pods.contains(&after.node)), "{}", after.node);
        let chain = |wanted: &str| {
            let is = |s: &Subject| matches!(s, Subject::Chain { name, .. } if name == wanted);
            shown.groups.iter().any(|g| is(&g.subject) && g.kind == Kind::Added)
        };
        assert!(chain("FLANNEL-POSTRTG") && chain("FLANNEL-FWD"), "{}", after.node);
        assert!(shown.changes().all(|c| c.owner.component != Component::KubeProxy));
        assert!(
            shown.changes().all(|c| c.kind == Kind::Added),
            "{:?}",
            shown.changes().find(|c| c.kind != Kind::Added)
        );
    }
}

#[test]
fn every_chain_of_the_lessons_services_is_proved() {
    let nodes = moment("sample");
    let cluster = nodes.iter().find_map(|n| n.cluster.clone()).unwrap();
    for (name, ports) in [("default/webpod", 1), ("kube-system/kube-dns", 3), ("default/kubernetes", 1)] {
        let explained = explain::service(name, &nodes, &cluster, None).unwrap();
        assert_eq!(explained.ports.len(), ports);
        assert!(explained.absent.is_empty(), "{:?}", explained.absent);
        // The API server writes its own endpoints.
        assert_eq!(explained.notes.is_empty(), name != "default/kubernetes", "{:?}", explained.notes);
        for port in &explained.ports {
            assert!(!port.proofs.is_empty() && port.proofs.iter().all(|p| p.proved && p.on.len() == 3), "{port:?}");
            let shares: Vec<f64> = port.journeys[0].outcomes.iter().map(|o| o.share).collect();
            let wanted = if name == "default/kubernetes" { vec![1.0] } else { vec![0.5, 0.5] };
            assert_eq!(shares, wanted, "{}", port.name);
            let pods = port.journeys[0].outcomes.iter().filter_map(|o| o.backend.as_ref()?.node.clone()).count();
            assert_eq!(pods, wanted.len());
        }
    }
    let webpod = explain::service("default/webpod", &nodes, &cluster, None).unwrap();
    assert_eq!(webpod.ports[0].proofs[0].chain, "KUBE-SVC-CNZCPOCNCNOROALA");
    let on: std::collections::BTreeSet<_> = webpod.ports[0].backends.iter().map(|b| b.node.clone()).collect();
    assert_eq!(on.len(), 2, "two replicas on two nodes");
    assert_eq!(nodes[1].connections.len(), 4, "only there they were asked for");
}
