//! The facts of an observation that a diff compares.

use super::super::fact::Fact;
use super::super::observation::Observation;
use super::super::rules::Ruleset;
use super::ignore;
use std::collections::{BTreeMap, BTreeSet};

/// Facts to compare, and what was left out by whole-fact rules.
pub(super) struct Collected {
    pub facts: Vec<Fact>,
    pub dropped: BTreeSet<(&'static str, String)>,
}

const SECTIONS: [&str; 11] =
    ["links", "addresses", "policy", "routes", "routes6", "neighbours", "fdb", "rules", "rules6", "sysctls", "nft"];

/// The sections that both observations have, and a note for each that only one has.
pub(super) fn sections(before: &Observation, after: &Observation) -> (BTreeSet<&'static str>, Vec<String>) {
    let (mut both, mut notes) = (BTreeSet::new(), Vec::new());
    for section in SECTIONS {
        match (before.has(section), after.has(section)) {
            (true, true) => {
                both.insert(section);
            }
            (false, true) => notes.push(format!("{section}: not compared, it was not captured before")),
            (true, false) => notes.push(format!("{section}: not compared, it was not captured after")),
            (false, false) => {}
        }
    }
    (both, notes)
}

/// All facts of the sections, links renamed by `names` (old, new).
pub(super) fn facts(seen: &Observation, sections: &BTreeSet<&str>, names: &[(String, String)]) -> Collected {
    let mut all: Vec<(&str, Fact)> = Vec::new();
    all.extend(seen.links.iter().map(|l| ("links", Fact::Link(l.clone()))));
    all.extend(seen.addresses.iter().map(|a| ("addresses", Fact::Address(a.clone()))));
    all.extend(seen.policy.iter().map(|p| ("policy", Fact::Policy(p.clone()))));
    all.extend(seen.routes.iter().map(|r| (if r.ipv6 { "routes6" } else { "routes" }, Fact::Route(r.clone()))));
    all.extend(seen.neighbours.iter().map(|n| ("neighbours", Fact::Neighbour(n.clone()))));
    all.extend(seen.fdb.iter().map(|f| ("fdb", Fact::Fdb(f.clone()))));
    let settings = seen.sysctls.iter().map(|(k, v)| Fact::Sysctl { key: k.clone(), value: v.clone() });
    all.extend(settings.map(|f| ("sysctls", f)));
    all.extend(seen.nft_tables.iter().map(|t| ("nft", Fact::NftTable { name: t.clone() })));
    all.extend(rule_facts(&seen.rules, false).map(|f| ("rules", f)));
    all.extend(rule_facts(&seen.rules6, true).map(|f| ("rules6", f)));
    let mut collected = Collected { facts: Vec::new(), dropped: BTreeSet::new() };
    for (_, mut fact) in all.into_iter().filter(|(section, _)| sections.contains(section)) {
        match ignore::whole(&fact, seen) {
            Some(rule) => {
                collected.dropped.insert((rule, fact.line()));
            }
            None => {
                names.iter().for_each(|(old, new)| rename(&mut fact, old, new));
                collected.facts.push(fact);
            }
        }
    }
    // Files are asked for one by one: an absent one was looked for too.
    let files = seen.files.iter().map(|(p, t)| Fact::File { path: p.clone(), text: t.clone() });
    collected.facts.extend(files);
    collected
}

fn rule_facts(set: &Ruleset, ipv6: bool) -> impl Iterator<Item = Fact> {
    let chains = set.chains().map(move |(table, chain)| Fact::Chain {
        table: table.to_string(),
        ipv6,
        name: chain.name.clone(),
        policy: chain.policy.clone(),
    });
    chains.chain(set.rules().map(move |(table, rule)| Fact::Rule { table: table.into(), ipv6, rule: rule.clone() }))
}

fn rename(fact: &mut Fact, old: &str, new: &str) {
    let name = match fact {
        Fact::Link(l) => Some(&mut l.name),
        Fact::Address(a) => Some(&mut a.dev),
        Fact::Route(r) => r.dev.as_mut(),
        Fact::Neighbour(n) => Some(&mut n.dev),
        Fact::Fdb(f) => Some(&mut f.dev),
        _ => None,
    };
    if let Some(name) = name.filter(|n| *n == old) {
        *name = new.to_string();
    }
}

/// The rules of each chain, in order, by (table, chain).
pub(super) fn bodies(seen: &Observation, ipv6: bool) -> BTreeMap<(&str, &str), Vec<String>> {
    let set = if ipv6 { &seen.rules6 } else { &seen.rules };
    let mut chains: BTreeMap<(&str, &str), Vec<String>> = BTreeMap::new();
    for (table, rule) in set.rules() {
        chains.entry((table, rule.chain.as_str())).or_default().push(rule.body());
    }
    chains
}
