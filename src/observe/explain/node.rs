//! Why a node's links, routes and chains are there: which component made each.

use super::super::diff;
use super::super::fact::{Fact, Subject};
use super::super::observation::Observation;
use super::super::owner::Owner;
use super::super::paint::count;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a node has, by subject, with who made it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeExplanation {
    pub node: String,
    pub items: Vec<Explained>,
    pub notes: Vec<String>,
}

/// One thing with who made it. Rules are counted with their chain, but for those in built-in chains.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explained {
    pub subject: Subject,
    pub line: String,
    pub owner: Owner,
}

/// Explains who made what on a node.
pub fn node(seen: &Observation) -> NodeExplanation {
    let mut rules: BTreeMap<Subject, usize> = BTreeMap::new();
    let facts = diff::lasting_facts(seen);
    for fact in facts.iter().filter(|f| matches!(f, Fact::Rule { .. })) {
        *rules.entry(fact.subject()).or_default() += 1;
    }
    let mut items = Vec::new();
    for fact in &facts {
        let subject = fact.subject();
        let line = match fact {
            Fact::Chain { policy: Some(_), .. } => continue,
            Fact::Chain { .. } => count(rules.get(&subject).copied().unwrap_or(0), "rule"),
            Fact::Rule { rule, .. } if !super::super::owner::BUILT_IN.contains(&rule.chain.as_str()) => continue,
            fact => fact.line(),
        };
        items.push(Explained { subject, line, owner: fact.owner(seen) });
    }
    items.sort_by(|a, b| a.subject.cmp(&b.subject));
    let notes = seen.notes.iter().map(|n| format!("{}: {}", n.section, n.text)).collect();
    NodeExplanation { node: seen.node.clone(), items, notes }
}

impl NodeExplanation {
    /// Lines for people: a reason is said once for the things that share it.
    pub fn render(&self) -> String {
        let mut out = format!("{}\n", self.node);
        let mut last: Option<(&Subject, &Owner)> = None;
        for item in &self.items {
            if last.map(|(subject, _)| subject) != Some(&item.subject) {
                out += &format!("{}\n", item.subject.title());
            }
            if last != Some((&item.subject, &item.owner)) {
                out += &format!("  {}: {}\n", item.owner.component, item.owner.why);
            }
            out += &format!("    {}\n", item.line);
            last = Some((&item.subject, &item.owner));
        }
        self.notes.iter().for_each(|n| out += &format!("note: {n}\n"));
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::fixture;

    #[test]
    fn every_part_has_its_maker() {
        let shown = node(&fixture::after("flannel-w1")).render();
        for part in [
            "link flannel.1\n  flannel: flanneld makes the tunnel",
            "    route 10.244.2.0/24 via 10.244.2.0 dev flannel.1 onlink\n",
            "link cni0\n  CNI bridge plugin: the plugin makes the bridge",
            "chain nat FLANNEL-POSTRTG\n  flannel: flanneld's chains begin with FLANNEL-\n    6 rules\n",
            "chain nat POSTROUTING\n  kube-proxy: it leads to KUBE-POSTROUTING",
        ] {
            assert!(shown.contains(part), "{part}\n{shown}");
        }
        assert!(!shown.contains("unknown:"), "{shown}");
    }
}
