//! What changed on a node between two observations, typed, grouped by meaning, with who made it.

mod collect;
mod ignore;
mod render;
mod summary;

pub use ignore::{IgnoredRule, ignored_rules};
pub use render::{Options, Part, markdown, parts, remarks, text};
pub use summary::{Summary, summary};

use super::fact::{Fact, Subject};
use super::observation::{Observation, SCHEMA};
use super::owner::{Component, Owner};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// What changed on a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diff {
    pub schema: u32,
    pub node: String,
    pub groups: Vec<Group>,
    /// How many differences each rule of [`ignored_rules`] left out.
    pub ignored: BTreeMap<String, usize>,
    /// What could not be compared, and why.
    pub notes: Vec<String>,
}

/// Changes that stand together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    pub subject: Subject,
    /// Whether the subject itself came, went, or only changed.
    pub kind: Kind,
    pub changes: Vec<Change>,
}

/// How something differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Added,
    Removed,
    Changed,
}

/// One thing that differs. An added one has no before, a removed one no after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    pub kind: Kind,
    pub before: Option<Fact>,
    pub after: Option<Fact>,
    pub owner: Owner,
}

impl Diff {
    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// All changes.
    pub fn changes(&self) -> impl Iterator<Item = &Change> {
        self.groups.iter().flat_map(|g| &g.changes)
    }

    /// Only the changes of components that `keep` wants.
    pub fn only(&self, keep: impl Fn(Component) -> bool) -> Self {
        let mut diff = self.clone();
        for group in &mut diff.groups {
            group.changes.retain(|c| keep(c.owner.component));
        }
        diff.groups.retain(|g| !g.changes.is_empty());
        diff
    }
}

impl Change {
    /// What there is now, or what there was.
    pub fn fact(&self) -> Option<&Fact> {
        self.after.as_ref().or(self.before.as_ref())
    }
}

/// The facts of an observation without those that a diff leaves out whole.
pub(super) fn lasting_facts(seen: &Observation) -> Vec<Fact> {
    collect::facts(seen, &collect::sections(seen, seen).0, &[]).facts
}

/// Compares two observations of a node.
pub fn diff(before: &Observation, after: &Observation) -> Diff {
    let mut ignored = BTreeMap::new();
    let names = ignore::veth_names(before, after);
    if !names.is_empty() {
        ignored.insert("veth-suffix".to_string(), names.len());
    }
    let (sections, notes) = collect::sections(before, after);
    let old = collect::facts(before, &sections, &names);
    let new = collect::facts(after, &sections, &[]);
    count_dropped(&old.dropped, &new.dropped, &mut ignored);
    let mut changes = compare((old.facts, before), (new.facts, after), &mut ignored);
    changes.extend(orders(before, after, &sections, &mut ignored));
    Diff { schema: SCHEMA, node: after.node.clone(), groups: group(changes), ignored, notes }
}

fn count_dropped(
    old: &BTreeSet<(&'static str, String)>,
    new: &BTreeSet<(&'static str, String)>,
    ignored: &mut BTreeMap<String, usize>,
) {
    for (rule, _) in old.symmetric_difference(new) {
        *ignored.entry(rule.to_string()).or_default() += 1;
    }
}

type Keyed = HashMap<(Subject, String), Vec<Fact>>;

/// Pairs facts by subject and key; several of one key (a rule written twice) pair off in order.
fn compare(
    (old, before): (Vec<Fact>, &Observation),
    (new, after): (Vec<Fact>, &Observation),
    ignored: &mut BTreeMap<String, usize>,
) -> Vec<Change> {
    let mut olds = Keyed::new();
    for fact in old.into_iter().rev() {
        olds.entry((fact.subject(), fact.key())).or_default().push(fact);
    }
    let mut changes = Vec::new();
    for mut fact in new {
        let was = olds.get_mut(&(fact.subject(), fact.key())).and_then(Vec::pop);
        let Some(mut was) = was else {
            let owner = fact.owner(after);
            changes.push(Change { kind: Kind::Added, before: None, after: Some(fact), owner });
            continue;
        };
        for (a, b) in ignore::volatile(&was).iter().zip(ignore::volatile(&fact)) {
            if a.1 != b.1 {
                *ignored.entry(a.0.to_string()).or_default() += 1;
            }
        }
        ignore::clear(&mut was);
        ignore::clear(&mut fact);
        if was != fact {
            let owner = fact.owner(after);
            changes.push(Change { kind: Kind::Changed, before: Some(was), after: Some(fact), owner });
        }
    }
    let mut gone: Vec<Fact> = olds.into_values().flatten().collect();
    gone.sort_by_cached_key(|f| (f.subject(), f.key()));
    changes.extend(gone.into_iter().map(|fact| {
        let owner = fact.owner(before);
        Change { kind: Kind::Removed, before: Some(fact), after: None, owner }
    }));
    changes
}

/// Chains whose rules, of those on both sides, stand in another order than before.
fn orders(
    before: &Observation,
    after: &Observation,
    sections: &BTreeSet<&str>,
    ignored: &mut BTreeMap<String, usize>,
) -> Vec<Change> {
    let mut changes = Vec::new();
    for (section, ipv6) in [("rules", false), ("rules6", true)] {
        if !sections.contains(section) {
            continue;
        }
        let old = collect::bodies(before, ipv6);
        let new = collect::bodies(after, ipv6);
        for (key, bodies) in &new {
            let Some(was) = old.get(key).filter(|was| *was != bodies) else { continue };
            let common = |of: &[String], other: &[String]| -> Vec<String> {
                let other: std::collections::HashSet<&String> = other.iter().collect();
                of.iter().filter(|b| other.contains(b)).cloned().collect()
            };
            let (was, is) = (common(was, bodies), common(bodies, was));
            // A rule that is there once more or once less is no change of order.
            let same_rules = {
                let sorted = |v: &[String]| -> Vec<String> {
                    let mut v = v.to_vec();
                    v.sort();
                    v
                };
                sorted(&was) == sorted(&is)
            };
            if was == is || !same_rules {
                continue;
            }
            let (table, chain) = key;
            if *chain == "KUBE-SERVICES" {
                *ignored.entry("kube-services-order".to_string()).or_default() += 1;
                continue;
            }
            let fact = |rules| Fact::Order { table: table.to_string(), ipv6, chain: chain.to_string(), rules };
            let (was, is) = (fact(was), fact(is));
            let owner = is.owner(after);
            changes.push(Change { kind: Kind::Changed, before: Some(was), after: Some(is), owner });
        }
    }
    changes
}

fn group(changes: Vec<Change>) -> Vec<Group> {
    let mut groups: BTreeMap<Subject, Vec<Change>> = BTreeMap::new();
    for change in changes {
        if let Some(subject) = change.fact().map(Fact::subject) {
            groups.entry(subject).or_default().push(change);
        }
    }
    let make = |(subject, mut changes): (Subject, Vec<Change>)| {
        let head = |c: &&Change| matches!(c.fact(), Some(Fact::Link(_) | Fact::Chain { .. }));
        let kind = changes.iter().find(head).map_or(Kind::Changed, |c| c.kind);
        // Rules keep the order of their chain; the rest goes by kind and name.
        changes.sort_by_cached_key(|c| match c.fact() {
            Some(Fact::Rule { .. }) => "7".to_string(),
            Some(fact) => fact.key(),
            None => String::new(),
        });
        Group { subject, kind, changes }
    };
    groups.into_iter().map(make).collect()
}

#[cfg(test)]
mod tests;
