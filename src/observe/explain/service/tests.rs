use super::*;
use crate::observe::explain::Verdict;
use crate::observe::fixture;
use crate::observe::rules::Ruleset;
use proptest::prelude::*;

fn explain(name: &str, from: Option<&str>) -> ServiceExplanation {
    service(name, &fixture::nodes(), &fixture::cluster(), from).unwrap()
}

#[test]
fn webpod_ends_at_two_pods_half_and_half() {
    let explained = explain("default/webpod", Some("default/curl-pod"));
    let port = &explained.ports[0];
    assert_eq!(port.journeys.len(), 1);
    let outcomes = &port.journeys[0].outcomes;
    let ends: Vec<_> = outcomes.iter().map(|o| (o.share, o.backend.as_ref().unwrap().node.clone().unwrap())).collect();
    assert_eq!(ends, [(0.5, "flannel-w1".to_string()), (0.5, "flannel-w2".to_string())]);
    assert!(outcomes.iter().all(|o| !o.masqueraded));
    assert!(port.proofs.iter().all(|p| p.proved && p.on.len() == 3), "{:?}", port.proofs);
    assert_eq!(port.proofs.len(), 3);
    let shown = explained.render();
    for part in [
        "service default/webpod (ClusterIP, 10.96.41.246)",
        "10.244.1.2:80  default/webpod-55ff548fc7-x9csv on flannel-w1",
        "KUBE-SVC-CNZCPOCNCNOROALA  \"default/webpodtcp\"  proved on flannel-ctr, flannel-w1, flannel-w2",
        "KUBE-SEP-PQBQBGZJJ5FKN3TB  \"default/webpodtcp10.244.1.2:80\"  proved",
        "on flannel-ctr from default/curl-pod (10.244.0.2) to 10.96.41.246:80",
        "    PREROUTING: goes on in KUBE-SERVICES\n",
        "    50.0 % to 10.244.1.2:80",
        "(takes 50.0 % of what reaches it)",
        "FDB of flannel.1: f6:4d:a8:6a:59:a0 is behind 192.168.20.101, flannel-w1",
        "VXLAN 1: in UDP from 192.168.20.100 to 192.168.20.101 port 8472, out of eth1",
        "its source stays as it is, by\n        -A FLANNEL-POSTRTG -s 10.244.0.0/24 -d 10.244.0.0/16",
    ] {
        assert!(shown.contains(part), "{part}\n{shown}");
    }
}

#[test]
fn every_service_of_the_lesson_is_proved() {
    for (name, ports) in [("kube-system/kube-dns", 3), ("default/kubernetes", 1), ("default/webpod", 1)] {
        let explained = explain(name, None);
        assert_eq!(explained.ports.len(), ports);
        for port in &explained.ports {
            assert!(port.proofs.iter().all(|p| p.proved), "{:?}", port.proofs);
            // On each of three nodes a pod and the node itself.
            assert_eq!(port.journeys.len(), 6);
            for journey in &port.journeys {
                let sum: f64 = journey.outcomes.iter().map(|o| o.share).sum();
                assert!((sum - 1.0).abs() < 1e-9);
                assert_eq!(journey.outcomes.len(), port.backends.len(), "{journey:?}");
                assert!(journey.notes.is_empty(), "{:?}", journey.notes);
                assert!(!journey.outcomes.iter().any(|o| matches!(o.legs.last(), Some(Leg::Gap { .. }))));
                // The node itself has no pod address, so kube-proxy marks its connections.
                assert!(journey.chain != "OUTPUT" || journey.outcomes.iter().all(|o| o.masqueraded), "{journey:?}");
            }
        }
    }
}

#[test]
fn a_way_is_shown_once() {
    let shown = explain("default/webpod", None).render();
    assert_eq!(shown.matches("VXLAN 1: in UDP from 192.168.20.100 to 192.168.20.101").count(), 1, "{shown}");
    assert!(shown.contains("the way from flannel-ctr: as above"), "{shown}");
}

#[test]
fn hairpin_is_masqueraded() {
    let explained = explain("default/webpod", Some("webpod-55ff548fc7-x9csv"));
    let outcomes = &explained.ports[0].journeys[0].outcomes;
    assert_eq!(outcomes.iter().map(|o| o.masqueraded).collect::<Vec<_>>(), [true, false]);
    assert!(outcomes[0].source_rules.iter().any(|s| s.chain == "KUBE-POSTROUTING"));
}

#[test]
fn survives_json_and_names_what_is_absent() {
    let nodes = fixture::nodes();
    let explained = service("webpod", &nodes[..2], &fixture::cluster(), None).unwrap();
    assert_eq!(explained.absent, ["flannel-w2"]);
    assert!(explained.render().contains("not observed, so not explained: flannel-w2"));
    let json = serde_json::to_string(&explained).unwrap();
    assert_eq!(serde_json::from_str::<ServiceExplanation>(&json).unwrap(), explained);
    let gone = service("webpod", &nodes[1..], &fixture::cluster(), Some("curl-pod")).unwrap();
    assert!(gone.notes.iter().any(|n| n.contains("runs on flannel-ctr, which was not observed")));
    assert!(service("nope", &nodes, &fixture::cluster(), None).is_err());
    assert!(service("webpod", &nodes, &fixture::cluster(), Some("nope")).is_err());
}

/// One node with hand-written rules and a service `ns/odd.name` with one port.
fn odd(nat: &str, filter: &str, change: impl Fn(&mut Service)) -> ServiceExplanation {
    let mut nodes = vec![fixture::after("flannel-ctr")];
    let text = format!(
        "*filter\n:FORWARD ACCEPT [0:0]\n:KUBE-SERVICES - [0:0]\n:KUBE-EXTERNAL-SERVICES - [0:0]\n-A FORWARD -j KUBE-SERVICES\n-A INPUT -j KUBE-EXTERNAL-SERVICES\n{filter}COMMIT\n*nat\n:PREROUTING ACCEPT [0:0]\n:KUBE-SERVICES - [0:0]\n:KUBE-MARK-MASQ - [0:0]\n:KUBE-NODEPORTS - [0:0]\n-A PREROUTING -j KUBE-SERVICES\n-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000\n-A POSTROUTING -m mark --mark 0x4000/0x4000 -j MASQUERADE\n{nat}-A KUBE-SERVICES -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS\nCOMMIT\n"
    );
    nodes[0].rules = Ruleset::parse(&text);
    assert_eq!(nodes[0].rules.unknown(), Vec::<&str>::new());
    let mut cluster = fixture::cluster();
    let port = ServicePort { protocol: "TCP".into(), port: 80, node_port: 30080, ..ServicePort::default() };
    let mut service = Service {
        namespace: "ns".into(),
        name: "odd.name".into(),
        kind: "NodePort".into(),
        cluster_ips: vec!["10.96.7.7".into()],
        ports: vec![port],
        has_selector: true,
        ..Service::default()
    };
    change(&mut service);
    cluster.services.push(service);
    super::service("ns/odd.name", &nodes, &cluster, None).unwrap()
}

fn chains() -> (String, String, String) {
    let hash = crate::observe::chain_name::hash("ns/odd.nametcp");
    (format!("KUBE-SVC-{hash}"), format!("KUBE-EXT-{hash}"), format!("KUBE-SVL-{hash}"))
}

#[test]
fn no_endpoints_is_a_refusal() {
    let reject = "-A KUBE-SERVICES -d 10.96.7.7/32 -p tcp -m comment --comment \"ns/odd.name has no endpoints\" -m tcp --dport 80 -j REJECT --reject-with icmp-port-unreachable\n";
    let explained = odd("", reject, |s| s.ports[0].node_port = 0);
    let pod = &explained.ports[0].journeys[0].outcomes[0];
    assert_eq!(pod.verdict, Verdict::Reject { with: "icmp-port-unreachable".into() });
    let shown = explained.render();
    assert!(shown.contains("none: no pod is ready") && shown.contains("100.0 % refused with icmp-port"), "{shown}");
}

#[test]
fn node_port_with_policy_local() {
    let (svc, ext, svl) = chains();
    let nat = format!(
        ":{svc} - [0:0]\n:{ext} - [0:0]\n:{svl} - [0:0]\n:KUBE-SEP-FOREIGN - [0:0]\n-A KUBE-NODEPORTS -p tcp -m tcp --dport 30080 -j {ext}\n-A {ext} -s 10.244.0.0/16 -j {svc}\n-A {ext} -m addrtype --src-type LOCAL -j KUBE-MARK-MASQ\n-A {ext} -m addrtype --src-type LOCAL -j {svc}\n-A {ext} -j {svl}\n-A {svl} -j KUBE-SEP-FOREIGN\n-A KUBE-SEP-FOREIGN -p tcp -m tcp -j DNAT --to-destination 10.244.0.9:80\n"
    );
    let explained = odd(&nat, "", |s| s.external_traffic_policy = "Local".into());
    let port = &explained.ports[0];
    let outside = port.journeys.iter().find(|j| j.from.contains("outside")).unwrap();
    assert_eq!(outside.to, "192.168.20.100:30080");
    assert_eq!(outside.outcomes.len(), 1);
    assert_eq!(outside.outcomes[0].verdict, Verdict::Dnat { to: "10.244.0.9:80".into() });
    assert!(!outside.outcomes[0].masqueraded);
    let foreign = port.proofs.iter().find(|p| p.chain == "KUBE-SEP-FOREIGN").unwrap();
    assert!(!foreign.proved);
    let shown = explained.render();
    assert!(shown.contains("NOT PROVED") && shown.contains("externalTrafficPolicy Local"), "{shown}");
    let drop = "-A KUBE-EXTERNAL-SERVICES -p tcp -m comment --comment \"ns/odd.name has no local endpoints\" -m addrtype --dst-type LOCAL -m tcp --dport 30080 -j DROP\n";
    let explained = odd("", drop, |s| s.external_traffic_policy = "Local".into());
    let outside = explained.ports[0].journeys.iter().find(|j| j.from.contains("outside")).unwrap();
    assert_eq!(outside.outcomes[0].verdict, Verdict::Drop);
}

#[test]
fn affinity_headless_external_and_other_modes() {
    let (svc, ..) = chains();
    let nat = format!(
        ":{svc} - [0:0]\n:KUBE-SEP-A - [0:0]\n:KUBE-SEP-B - [0:0]\n-A KUBE-SERVICES -d 10.96.7.7/32 -p tcp -m tcp --dport 80 -j {svc}\n-A {svc} -m recent --rcheck --seconds 10800 --reap --name KUBE-SEP-A --mask 255.255.255.255 --rsource -j KUBE-SEP-A\n-A {svc} -m statistic --mode random --probability 0.5 -j KUBE-SEP-A\n-A {svc} -j KUBE-SEP-B\n-A KUBE-SEP-A -p tcp -m recent --set --name KUBE-SEP-A --mask 255.255.255.255 --rsource -m tcp -j DNAT --to-destination 10.244.1.2:80\n-A KUBE-SEP-B -p tcp -m tcp -j DNAT --to-destination 10.244.2.2:80\n"
    );
    let explained = odd(&nat, "", |s| s.session_affinity = "ClientIP".into());
    let shares: Vec<f64> = explained.ports[0].journeys[0].outcomes.iter().map(|o| o.share).collect();
    assert_eq!(shares, [0.5, 0.5]);
    assert!(explained.render().contains("sessionAffinity ClientIP"));

    let headless = odd("", "", |s| (s.cluster_ips, s.ports[0].node_port) = (vec!["None".into()], 0));
    assert!(headless.ports[0].journeys.is_empty() && headless.ports[0].proofs.is_empty());
    assert!(headless.render().contains("(headless, no address)"));
    assert!(odd("", "", |s| s.kind = "ExternalName".into()).render().contains("an alias to"));

    let mut nodes = fixture::nodes();
    nodes[0].nft_tables.push("ip kube-proxy".into());
    nodes[1].ipvs_services.push("TCP 0A600001:01BB rr".into());
    nodes[2].rules = Ruleset::default();
    let explained = service("webpod", &nodes, &fixture::cluster(), None).unwrap();
    assert!(explained.ports[0].journeys.is_empty());
    for part in ["nftables mode", "ipvs mode", "no chain KUBE-SERVICES"] {
        assert!(explained.notes.iter().any(|n| n.contains(part)), "{part}: {:?}", explained.notes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_rules_are_walked(rules in "(-A (PREROUTING|OUTPUT|KUBE-SERVICES|X|POSTROUTING)( -[sdp] (tcp|10\\.0\\.0\\.0/8|::/0|x))?( --(dport|mark|probability|every|ctstate) [0-9./a-z]{1,4})? -j (X|KUBE-SERVICES|DNAT --to-destination [0-9.:\\]\\[]{0,9}|MARK --set-xmark [0-9x/]{1,5}|RETURN|REJECT)\n){0,12}") {
        let mut nodes = fixture::nodes();
        nodes[0].rules = Ruleset::parse(&format!("*nat\n:KUBE-SERVICES - [0:0]\n:X - [0:0]\n{rules}COMMIT\n"));
        let explained = service("webpod", &nodes[..1], &fixture::cluster(), None).unwrap();
        let _ = explained.render();
    }
}
