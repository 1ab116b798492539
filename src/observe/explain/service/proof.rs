//! Chain names computed again from the service's own name.

use super::super::super::chain_name::{self, PREFIXES};
use super::super::walk::Verdict;
use super::{Backend, Journey, Sight};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A chain's name and how it comes about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    pub chain: String,
    /// What is hashed: the name is a prefix and the first 16 letters of base32(sha256(input)). Empty where a chain was
    /// met whose name does not come out.
    pub input: String,
    /// What the chain is for.
    pub role: String,
    /// Whether the computed name is that of a chain on some node.
    pub proved: bool,
    /// Nodes that have the chain.
    pub on: Vec<String>,
}

/// Proofs for the chains of a port: those it should have, those its endpoints should have, and those that were met.
pub(super) fn proofs(
    name: &str,
    protocol: &str,
    backends: &[Backend],
    journeys: &[Journey],
    sights: &[Sight],
) -> Vec<Proof> {
    let mut proofs: Vec<Proof> = Vec::new();
    let mut add = |prefix: &str, input: String, wanted: bool| {
        let chain = format!("{prefix}{}", chain_name::hash(&input));
        let on = on(&chain, sights);
        if (wanted || !on.is_empty()) && !proofs.iter().any(|p| p.chain == chain) {
            proofs.push(Proof { chain, input, role: role(prefix), proved: !on.is_empty(), on });
        }
    };
    for (prefix, _) in PREFIXES.iter().filter(|(p, _)| *p != "KUBE-SEP-") {
        let wanted = *prefix == "KUBE-SVC-" && backends.iter().any(|b| b.ready) && !journeys.is_empty();
        add(prefix, chain_name::service_input(name, protocol), wanted);
    }
    let outcomes = || journeys.iter().flat_map(|j| &j.outcomes);
    let reached = outcomes().filter_map(|o| match &o.verdict {
        Verdict::Dnat { to } => Some(to.as_str()),
        _ => None,
    });
    let endpoints: BTreeSet<&str> = backends.iter().map(|b| b.endpoint.as_str()).chain(reached).collect();
    for endpoint in endpoints {
        add("KUBE-SEP-", chain_name::endpoint_input(name, protocol, endpoint), false);
    }
    let met: BTreeSet<&str> = outcomes().flat_map(|o| &o.steps).map(|s| s.chain.as_str()).collect();
    for chain in met {
        let Some((prefix, _)) = PREFIXES.iter().find(|(p, _)| chain.starts_with(p)) else { continue };
        if !proofs.iter().any(|p| p.chain == chain) {
            let on = on(chain, sights);
            proofs.push(Proof { chain: chain.into(), input: String::new(), role: role(prefix), proved: false, on });
        }
    }
    proofs
}

fn role(prefix: &str) -> String {
    PREFIXES.iter().find(|(p, _)| *p == prefix).map(|(_, role)| role.to_string()).unwrap_or_default()
}

fn on(chain: &str, sights: &[Sight]) -> Vec<String> {
    let has = |s: &&Sight| s.v4.chain("nat", chain).is_some() || s.v6.chain("nat", chain).is_some();
    sights.iter().filter(has).map(|s| s.seen.node.clone()).collect()
}
