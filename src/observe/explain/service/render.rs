//! A service's explanation as lines for people.

use super::super::delivery;
use super::super::walk::Verdict;
use super::{Backend, Journey, Outcome, PortExplanation, ServiceExplanation};
use std::collections::BTreeSet;

impl ServiceExplanation {
    /// Lines for people. Journeys that meet the same rules stand together.
    pub fn render(&self) -> String {
        let addresses =
            if self.cluster_ips.is_empty() { "no address".to_string() } else { self.cluster_ips.join(", ") };
        let mut out = format!("service {} ({}, {addresses})\n", self.service, self.kind);
        self.notes.iter().for_each(|n| out += &format!("note: {n}\n"));
        if !self.absent.is_empty() {
            out += &format!("note: not observed, so not explained: {}\n", self.absent.join(", "));
        }
        self.ports.iter().for_each(|p| port(p, &mut out));
        out
    }
}

fn port(port: &PortExplanation, out: &mut String) {
    let node_port = if port.node_port == 0 { String::new() } else { format!(", node port {}", port.node_port) };
    *out += &format!("\nport {}/{}{node_port}, named {}\n", port.port, port.protocol, port.name);
    *out += "  endpoints\n";
    if port.backends.is_empty() {
        *out += "    none: no pod is ready, or the selector matches none\n";
    }
    for backend in &port.backends {
        let state = if backend.ready { "" } else { ", not ready: it gets no connections" };
        *out += &format!("    {}{}{state}\n", backend.endpoint, who(backend));
    }
    if !port.proofs.is_empty() {
        *out += "  chain names: a prefix and the first 16 letters of base32(sha256(...))\n";
    }
    for proof in &port.proofs {
        let verdict = match (proof.proved, proof.input.is_empty()) {
            (true, _) => format!("{:?}  proved on {}", proof.input, proof.on.join(", ")),
            (false, true) => "NOT PROVED: no name of this service gives it".to_string(),
            (false, false) => format!("{:?}  not found on any observed node", proof.input),
        };
        *out += &format!("    {}  {verdict}\n", proof.chain);
    }
    let mut groups: Vec<Vec<&Journey>> = Vec::new();
    for journey in &port.journeys {
        match groups.iter_mut().find(|g| alike(g[0], journey)) {
            Some(group) => group.push(journey),
            None => groups.push(vec![journey]),
        }
    }
    let mut shown = BTreeSet::new();
    groups.iter().for_each(|g| group(g, &mut shown, out));
}

/// Whether two journeys meet the same rules with the same result.
fn alike(a: &Journey, b: &Journey) -> bool {
    let same = |(a, b): (&Outcome, &Outcome)| {
        (a.share, &a.verdict, &a.steps, a.masqueraded) == (b.share, &b.verdict, &b.steps, b.masqueraded)
    };
    a.chain == b.chain && a.outcomes.len() == b.outcomes.len() && a.outcomes.iter().zip(&b.outcomes).all(same)
}

/// Ways that stand above already: from which node, to which endpoint.
type Shown = BTreeSet<(String, String)>;

fn group(journeys: &[&Journey], shown: &mut Shown, out: &mut String) {
    let Some(first) = journeys.first() else { return };
    *out += "  connections\n";
    for j in journeys {
        let source = j.source.as_deref().map(|s| format!(" ({s})")).unwrap_or_default();
        *out += &format!("    on {} from {}{source} to {}\n", j.node, j.from, j.to);
    }
    let common = common_steps(first);
    for step in first.outcomes.iter().flat_map(|o| &o.steps).take(common) {
        *out += &format!("    {}: {}\n      {}\n", step.chain, step.says, step.rule);
    }
    for (at, outcome) in first.outcomes.iter().enumerate() {
        let behind = outcome.backend.as_ref().map(who).unwrap_or_default();
        *out += &format!("    {} {}{behind}\n", percent(outcome.share), end(&outcome.verdict));
        for step in outcome.steps.iter().skip(common) {
            let part = if step.takes < 1.0 {
                format!(" (takes {} of what reaches it)", percent(step.takes))
            } else {
                String::new()
            };
            *out += &format!("      {}: {}{part}\n        {}\n", step.chain, step.says, step.rule);
        }
        if let Verdict::Dnat { to } = &outcome.verdict {
            source(outcome, out);
            ways(journeys, at, to, shown, out);
        }
    }
    let notes = journeys.iter().flat_map(|j| j.notes.iter().map(move |n| format!("    note: {}: {n}\n", j.node)));
    notes.for_each(|n| *out += &n);
}

/// How many first steps all outcomes share.
fn common_steps(journey: &Journey) -> usize {
    let Some((first, rest)) = journey.outcomes.split_first() else { return 0 };
    let same = |n: usize| rest.iter().all(|o| o.steps.get(n) == first.steps.get(n));
    if rest.is_empty() { 0 } else { (0..first.steps.len()).take_while(|n| same(*n)).count() }
}

fn source(outcome: &Outcome, out: &mut String) {
    let says = if outcome.masqueraded { "its source becomes the node's address" } else { "its source stays as it is" };
    let by = outcome.source_rules.last().map(|s| format!(", by\n        {}", s.rule)).unwrap_or_default();
    *out += &format!("      POSTROUTING: {says}{by}\n");
}

/// The way from each node to the endpoint, each once.
fn ways(journeys: &[&Journey], at: usize, to: &str, shown: &mut Shown, out: &mut String) {
    let mut here: Vec<&str> = Vec::new();
    for journey in journeys {
        if here.contains(&journey.node.as_str()) {
            continue;
        }
        here.push(&journey.node);
        let legs = journey.outcomes.get(at).map(|o| delivery::render(&o.legs, "        ")).unwrap_or_default();
        if shown.insert((journey.node.clone(), to.to_string())) {
            *out += &format!("      the way from {}\n{legs}", journey.node);
        } else {
            *out += &format!("      the way from {}: as above\n", journey.node);
        }
    }
}

fn who(backend: &Backend) -> String {
    match (&backend.pod, &backend.node) {
        (Some(pod), Some(node)) => format!("  {pod} on {node}"),
        (Some(pod), None) => format!("  {pod}"),
        (None, Some(node)) => format!("  {node} itself"),
        (None, None) => String::new(),
    }
}

fn end(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Dnat { to } => format!("to {to}"),
        Verdict::Reject { with } => format!("refused with {with}"),
        Verdict::Drop => "dropped".to_string(),
        Verdict::Accept => "not translated: no rule changes its destination".to_string(),
        Verdict::Masquerade => "masqueraded".to_string(),
        Verdict::Other { target } => format!("to target {target}, which is not explained"),
    }
}

/// A share as a percentage with one decimal. iptables keeps probabilities in 31 bits, so a third is 33.3.
fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}
