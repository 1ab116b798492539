//! Rules found by table and chain, for walking.

use super::{Chain, Rule, Ruleset};
use std::collections::HashMap;

/// What is known of one chain.
#[derive(Debug, Default)]
pub struct Entry<'a> {
    pub chain: Option<&'a Chain>,
    pub rules: Vec<&'a Rule>,
}

/// A look-up over a [`Ruleset`]; made once, asked often.
#[derive(Debug, Default)]
pub struct Index<'a> {
    tables: HashMap<&'a str, HashMap<&'a str, Entry<'a>>>,
}

impl<'a> Index<'a> {
    /// Sorts the rules by table and chain, keeping their order.
    pub fn new(set: &'a Ruleset) -> Self {
        let mut index = Self::default();
        for table in &set.tables {
            let chains = index.tables.entry(table.name.as_str()).or_default();
            for chain in &table.chains {
                chains.entry(chain.name.as_str()).or_default().chain = Some(chain);
            }
            for rule in &table.rules {
                chains.entry(rule.chain.as_str()).or_default().rules.push(rule);
            }
        }
        index
    }

    /// The chain, if the table has it.
    pub fn chain(&self, table: &str, chain: &str) -> Option<&Entry<'a>> {
        self.tables.get(table)?.get(chain)
    }

    /// The rules of a chain, in order; none if there is no such chain.
    pub fn rules(&self, table: &str, chain: &str) -> &[&'a Rule] {
        self.chain(table, chain).map_or(&[], |e| &e.rules)
    }

    /// The names of a table's chains, in no order.
    pub fn names(&self, table: &str) -> impl Iterator<Item = &'a str> {
        self.tables.get(table).into_iter().flat_map(|chains| chains.keys().copied())
    }
}
