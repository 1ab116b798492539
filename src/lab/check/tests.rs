use super::*;
use crate::lab::model::Lab;
use crate::lab::resolve::{Sources, resolve};
use std::collections::BTreeMap;

const HEAD: &str = "lab: x\nimage: plain\nvalues: {pods: {type: cidr, default: 10.244.0.0/16}}\nnetworks: {lan: {kind: host-only, subnet: 192.168.20.0/24}}\nnodes:\n  n1: {networks: {lan: 192.168.20.11}}\n  n2: {networks: {lan: 192.168.20.12}}\nchecks:\n";

fn read(checks: &str) -> Result<Lab, String> {
    let text = format!("{HEAD}{checks}");
    let library = |path: &str| (path == "images/plain.yaml").then(|| (path.to_owned(), String::new()));
    let set = BTreeMap::new();
    resolve(&Sources { name: "lab.yaml", text: &text, library: &library, set: &set }).map_err(|e| e.to_string())
}

#[test]
fn every_kind_is_read() {
    let lab = read(
        "  - {name: tunnel, link: {name: flannel.1, kind: vxlan, mtu: 1450}}\n  \
           - {name: peers, on: n1, route: {within: '{{ pods }}', dev: flannel.1, count: '{{ nodes | length - 1 }}'}}\n  \
           - {name: chain, chain: {table: nat, name: FLANNEL-POSTRTG}, hint: look}\n  \
           - {name: pods, pods: {labels: {app: webpod}, ready: 2, nodes: 2}}\n  \
           - {name: service, service: {name: default/webpod, requests: 200}}\n  \
           - {name: script, on: [n2, n1], run: 'test {{ node.name }} != x', timeout: 5s}\n",
    )
    .unwrap();
    let words: Vec<&str> = lab.checks.iter().map(|c| c.expect.word()).collect();
    assert_eq!(words, ["link", "route", "chain", "pods", "service", "run"]);
    let Expect::Route(route) = &lab.checks[1].expect else { panic!() };
    assert_eq!((route.within.unwrap().to_string().as_str(), route.count), ("10.244.0.0/16", Some(1)));
    assert_eq!(lab.checks[1].on, ["n1"]);
    assert_eq!(lab.checks[5].on, ["n1", "n2"], "in the lab's order");
    assert_eq!(lab.checks[0].on.len(), 2, "all nodes where none is named");
}

#[test]
fn all_problems_are_told_with_their_place() {
    let error = read(
        "  - {name: a, link: {name: x, mtu: wide}, route: {dev: eth0}}\n  \
           - {name: b, link: {nam: x}}\n  \
           - {name: c, on: n3, route: {within: 10.1.2.3/8}}\n  \
           - {name: c, run: 'test {{ podz }}'}\n  \
           - {name: d, route: {count: 3}}\n  \
           - {name: e, service: {name: x, requests: 99999}}\n",
    )
    .unwrap_err();
    for part in [
        "exactly one thing, here link, route",
        "did you mean `name`",
        "no node `n3`",
        "10.0.0.0/8",
        "a second check named `c`",
        "`podz`, which nobody defines",
        "which route?",
        "`99999` is no whole number up to 10000",
        "lab.yaml:10:",
    ] {
        assert!(error.contains(part), "{part}\n{error}");
    }
}
