//! Whether observations are as a lab expects them, with the evidence.

use super::cluster::{Cluster, Pod};
use super::explain::{Requests, ServiceExplanation, Verdict, in_network};
use super::fact::{Fact, route_line};
use super::observation::{Observation, Route};
use super::paint::count;
use crate::lab::check::{PodsExpect, RouteExpect};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What a check found at one place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// None where it is about the whole lab.
    pub node: Option<String>,
    pub passed: bool,
    /// What was seen, or why it is not as expected.
    pub evidence: Vec<String>,
}

impl Finding {
    fn new(node: Option<&str>, passed: bool, evidence: Vec<String>) -> Self {
        Self { node: node.map(String::from), passed, evidence }
    }

    /// One that failed before anything could be looked at.
    pub fn failed(node: Option<&str>, why: impl Into<String>) -> Self {
        Self::new(node, false, vec![why.into()])
    }

    /// What a script on a node printed, and whether it succeeded.
    pub fn of_script(node: &str, passed: bool, printed: &str) -> Self {
        Self::new(Some(node), passed, printed.lines().map(String::from).collect())
    }
}

/// Whether the node has such a link.
pub fn link(seen: &Observation, name: &str, kind: Option<&str>, mtu: Option<u32>) -> Finding {
    if let Some(missing) = not_captured(seen, "links") {
        return missing;
    }
    let Some(link) = seen.link(name) else {
        let names: Vec<&str> = seen.links.iter().map(|l| l.name.as_str()).collect();
        return Finding::failed(Some(&seen.node), format!("there is no link {name}; there are {}", names.join(", ")));
    };
    let mut evidence = vec![Fact::Link(link.clone()).line()];
    if let Some(kind) = kind.filter(|k| link.kind.as_deref() != Some(k)) {
        evidence.push(format!("its kind is {}, expected {kind}", link.kind.as_deref().unwrap_or("that of a device")));
    }
    if let Some(mtu) = mtu.filter(|m| link.mtu != *m) {
        evidence.push(format!("its mtu is {}, expected {mtu}", link.mtu));
    }
    Finding::new(Some(&seen.node), evidence.len() == 1, evidence)
}

/// Whether the node has such routes.
pub fn route(seen: &Observation, expect: &RouteExpect) -> Finding {
    if let Some(missing) = not_captured(seen, "routes") {
        return missing;
    }
    let wanted = |r: &&Route| {
        let is = |want: &Option<String>, have: Option<&str>| want.as_deref().is_none_or(|w| have == Some(w));
        let within = expect.within.is_none_or(|n| in_network(&r.destination, &n.to_string()));
        // The kernel's own table repeats each address; nobody expects those.
        let counts = r.table != "local" || expect.to.is_some();
        counts
            && within
            && is(&expect.to, Some(&r.destination))
            && is(&expect.via, r.via.as_deref())
            && is(&expect.dev, r.dev.as_deref())
    };
    let found: Vec<String> = seen.routes.iter().filter(wanted).map(route_line).collect();
    let passed = expect.count.map_or(!found.is_empty(), |n| found.len() == n as usize);
    let mut evidence = found.clone();
    if !passed {
        let expected = expect.count.map_or("at least 1".to_string(), |n| n.to_string());
        evidence.push(format!("{} of these routes, expected {expected}", found.len()));
    }
    Finding::new(Some(&seen.node), passed, evidence)
}

/// Whether the node has such a chain.
pub fn chain(seen: &Observation, table: &str, name: &str) -> Finding {
    if let Some(missing) = not_captured(seen, "rules") {
        return missing;
    }
    if !seen.rules.chains().any(|(t, c)| t == table && c.name == name) {
        return Finding::failed(Some(&seen.node), format!("table {table} has no chain {name}"));
    }
    let rules = seen.rules.rules().filter(|(t, r)| *t == table && r.chain == name).count();
    Finding::new(Some(&seen.node), true, vec![format!("chain {name} of table {table}, {}", count(rules, "rule"))])
}

/// Whether such pods are Ready where they should be.
pub fn pods(cluster: &Cluster, expect: &PodsExpect) -> Finding {
    let fits = |p: &&Pod| {
        p.namespace == expect.namespace && expect.labels.iter().all(|(k, v)| p.labels.get(k).is_some_and(|l| l == v))
    };
    let found: Vec<&Pod> = cluster.pods.iter().filter(fits).collect();
    let ready: Vec<&&Pod> = found.iter().filter(|p| p.ready).collect();
    let nodes: BTreeSet<&str> = ready.iter().map(|p| p.node.as_str()).collect();
    let mut evidence: Vec<String> = Vec::new();
    for pod in &found {
        let state = if pod.ready { "Ready" } else { pod.phase.as_str() };
        evidence.push(format!("{} {state} on {} ({})", pod.full_name(), pod.node, pod.ips.join(", ")));
    }
    let before = evidence.len();
    if ready.len() < expect.ready as usize {
        evidence.push(format!("{} Ready, expected {}", ready.len(), expect.ready));
    }
    if nodes.len() < expect.nodes as usize {
        evidence.push(format!("they are on {} different nodes, expected {}", nodes.len(), expect.nodes));
    }
    if let Some(node) = expect.node.as_deref().filter(|n| ready.iter().any(|p| p.node != *n)) {
        evidence.push(format!("not all of them are on {node}"));
    }
    Finding::new(None, evidence.len() == before, evidence)
}

/// Whether a service's connections reached all its endpoints: from its explanation, what was counted, and how many
/// connections failed.
pub fn service(explained: &ServiceExplanation, counted: &Requests, failed: u32) -> Finding {
    let (mut evidence, mut passed) = (Vec::new(), true);
    for port in &explained.ports {
        let unproved = port.proofs.iter().filter(|p| !p.proved);
        let mut problems: Vec<String> = unproved.map(|p| format!("chain {} is not proved", p.chain)).collect();
        let reached: BTreeSet<&str> = port.journeys.iter().flat_map(|j| &j.outcomes).filter_map(endpoint).collect();
        let ready: Vec<_> = port.backends.iter().filter(|b| b.ready).collect();
        if ready.is_empty() {
            problems.push(format!("{} has no ready endpoint", port.name));
        }
        for backend in &ready {
            if !reached.contains(backend.endpoint.as_str()) {
                problems.push(format!("no rule leads to {}", backend.endpoint));
            }
        }
        let Some(count) = counted.ports.iter().find(|p| p.name == port.name) else { continue };
        for end in &count.endpoints {
            let who = end.pod.as_deref().or(end.node.as_deref()).unwrap_or("?");
            let line = format!(
                "{}: {} of {} connections to {} {who}, expected share {:.0} %",
                port.name,
                end.counted,
                count.total,
                end.endpoint,
                end.expected * 100.0
            );
            evidence.push(line);
            if end.counted == 0 {
                problems.push(format!("{} got no connection", end.endpoint));
            }
        }
        if count.reset {
            problems.push("the counters were reset in between; check again".to_string());
        }
        passed &= problems.is_empty();
        evidence.extend(problems);
    }
    if failed > 0 {
        passed = false;
        evidence.push(format!("{failed} connections failed"));
    }
    Finding::new(None, passed, evidence)
}

fn endpoint(outcome: &super::explain::Outcome) -> Option<&str> {
    match &outcome.verdict {
        Verdict::Dnat { to } => Some(to),
        _ => None,
    }
}

fn not_captured(seen: &Observation, section: &str) -> Option<Finding> {
    let why = || format!("its {section} were not captured");
    (!seen.has(section)).then(|| Finding::failed(Some(&seen.node), why()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::model::Subnet;
    use crate::observe::{explain, fixture};

    #[test]
    fn links_and_chains() {
        let seen = fixture::after("flannel-w1");
        assert!(link(&seen, "flannel.1", Some("vxlan"), Some(1450)).passed);
        let wrong = link(&seen, "flannel.1", Some("bridge"), Some(1500));
        assert!(!wrong.passed && wrong.evidence.len() == 3, "{wrong:?}");
        assert!(link(&seen, "wg0", None, None).evidence[0].contains("there are lo, eth0"));
        assert!(chain(&seen, "nat", "FLANNEL-POSTRTG").evidence[0].ends_with("6 rules"));
        assert!(!chain(&seen, "filter", "FLANNEL-POSTRTG").passed);
        let blind = Observation { failed: [("links".to_string(), 1)].into(), ..Observation::default() };
        assert!(link(&blind, "lo", None, None).evidence[0].contains("not captured"));
    }

    #[test]
    fn routes_are_counted_within_a_network() {
        let seen = fixture::after("flannel-ctr");
        let peers = |count| RouteExpect {
            within: Subnet::parse("10.244.0.0/16").ok(),
            dev: Some("flannel.1".into()),
            count,
            ..RouteExpect::default()
        };
        let found = route(&seen, &peers(Some(2)));
        assert!(found.passed && found.evidence.iter().all(|l| l.contains("onlink")), "{found:?}");
        let wrong = route(&seen, &peers(Some(3)));
        assert!(!wrong.passed && wrong.evidence.last().unwrap().contains("2 of these routes, expected 3"));
        assert!(route(&seen, &peers(None)).passed);
        let exact = RouteExpect { to: Some("default".into()), via: Some("10.0.2.2".into()), ..RouteExpect::default() };
        assert!(route(&seen, &exact).passed);
        assert!(!route(&seen, &RouteExpect { via: Some("10.0.2.9".into()), ..exact }).passed);
    }

    #[test]
    fn pods_are_ready_on_different_nodes() {
        let mut cluster = fixture::cluster();
        for pod in cluster.pods.iter_mut().filter(|p| p.name.starts_with("webpod-")) {
            pod.ready = true;
            pod.labels.insert("app".into(), "webpod".into());
        }
        let webpod = PodsExpect {
            namespace: "default".into(),
            labels: [("app".to_string(), "webpod".to_string())].into(),
            ready: 2,
            nodes: 2,
            node: None,
        };
        let found = pods(&cluster, &webpod);
        assert!(found.passed && found.evidence.len() == 2, "{found:?}");
        let more = pods(&cluster, &PodsExpect { ready: 3, nodes: 3, ..webpod.clone() });
        assert_eq!(more.evidence.len(), 4, "{more:?}");
        assert!(!pods(&cluster, &PodsExpect { node: Some("flannel-ctr".into()), ..webpod }).passed);
    }

    #[test]
    fn a_service_must_reach_every_endpoint() {
        let (nodes, cluster) = (fixture::nodes(), fixture::cluster());
        let explained = explain::service("default/webpod", &nodes, &cluster, None).unwrap();
        let counted = explain::requests(&nodes[0], &nodes[0], "default/webpod", &cluster).unwrap();
        let none = service(&explained, &counted, 0);
        assert!(!none.passed && none.evidence.iter().any(|l| l.contains("got no connection")), "{none:?}");
        let mut all = counted.clone();
        all.ports[0].endpoints.iter_mut().for_each(|e| e.counted = 12);
        all.ports[0].total = 24;
        let good = service(&explained, &all, 0);
        assert!(good.passed && good.evidence[0].contains("12 of 24 connections"), "{good:?}");
        assert!(!service(&explained, &all, 1).passed);
    }
}
