//! The grammar of iptables-save, our own: nothing is lost, and printing gives the input again, byte for byte.

mod index;
mod rule;
mod token;

pub use index::Index;
pub use rule::{Counters, Jump, Match, Opt, Rule};

use serde::{Deserialize, Serialize};

/// A chain's heading line: `:INPUT ACCEPT [0:0]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chain {
    pub name: String,
    /// What happens at the end of a built-in chain; a chain made by someone has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    pub counters: Counters,
}

/// A run of lines of one table: first chains, then rules. A table is one of these unless its lines are out of order.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Table {
    /// Lines before it, verbatim: comments, warnings, and what was not understood.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub heading: Vec<String>,
    pub name: String,
    /// Whether this goes on with the table above it instead of opening one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub continued: bool,
    pub chains: Vec<Chain>,
    pub rules: Vec<Rule>,
    /// Whether `COMMIT` closes it.
    pub committed: bool,
}

/// Everything one iptables-save wrote.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Ruleset {
    pub tables: Vec<Table>,
    /// Lines after the last table, verbatim.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tail: Vec<String>,
    /// Whether the last line ends.
    pub ends: bool,
}

impl Ruleset {
    /// Reads the text; never fails. Lines that are not understood are kept where they stood.
    pub fn parse(text: &str) -> Self {
        let mut set = Self { ends: text.ends_with('\n'), ..Self::default() };
        let body = text.strip_suffix('\n').unwrap_or(text);
        let mut open = false;
        if !text.is_empty() {
            body.split('\n').for_each(|line| set.read_line(line, &mut open));
        }
        set
    }

    fn read_line(&mut self, line: &str, open: &mut bool) {
        if let Some(name) = line.strip_prefix('*').filter(|n| !n.is_empty()) {
            let heading = std::mem::take(&mut self.tail);
            self.tables.push(Table { heading, name: name.to_string(), ..Table::default() });
            *open = true;
            return;
        }
        let understood = *open
            && if line == "COMMIT" {
                self.block(false).committed = true;
                *open = false;
                true
            } else if let Some(chain) = Chain::parse(line) {
                self.block(true).chains.push(chain);
                true
            } else if let Some(rule) = Rule::parse(line) {
                self.block(false).rules.push(rule);
                true
            } else {
                false
            };
        if !understood {
            self.tail.push(line.to_string());
        }
    }

    /// The block that the next line belongs to: the last, or a new one that continues it when verbatim lines or an
    /// order that is not chains-then-rules stand between.
    fn block(&mut self, for_chain: bool) -> &mut Table {
        let last = self.tables.last();
        let fits = self.tail.is_empty() && last.is_some_and(|t| !for_chain || t.rules.is_empty());
        if !fits {
            let name = last.map(|t| t.name.clone()).unwrap_or_default();
            let heading = std::mem::take(&mut self.tail);
            self.tables.push(Table { heading, name, continued: true, ..Table::default() });
        }
        let at = self.tables.len() - 1;
        &mut self.tables[at]
    }

    /// The text again.
    pub fn print(&self) -> String {
        let mut out = String::new();
        let line = |out: &mut String, text: &str| {
            out.push_str(text);
            out.push('\n');
        };
        for table in &self.tables {
            table.heading.iter().for_each(|l| line(&mut out, l));
            if !table.continued {
                out.push('*');
                line(&mut out, &table.name);
            }
            for chain in &table.chains {
                chain.print(&mut out);
                out.push('\n');
            }
            for rule in &table.rules {
                rule.print(&mut out);
                out.push('\n');
            }
            if table.committed {
                line(&mut out, "COMMIT");
            }
        }
        self.tail.iter().for_each(|l| line(&mut out, l));
        if !self.ends {
            out.pop();
        }
        out
    }

    /// All verbatim lines, in order.
    fn verbatim(&self) -> impl Iterator<Item = &str> {
        self.tables.iter().flat_map(|t| &t.heading).chain(&self.tail).map(String::as_str)
    }

    /// Lines that are neither table, chain, rule nor comment.
    pub fn unknown(&self) -> Vec<&str> {
        self.verbatim().filter(|l| !l.trim().is_empty() && !l.starts_with('#')).collect()
    }

    /// What iptables-save warned of, without the `# Warning:` before it.
    pub fn warnings(&self) -> Vec<&str> {
        self.verbatim().filter_map(|l| l.strip_prefix("# Warning:")).map(str::trim).collect()
    }

    /// Which implementation wrote it, `nf_tables` or `legacy`, if its heading says so.
    pub fn variant(&self) -> Option<&str> {
        let heading = self.verbatim().find_map(|l| l.strip_prefix("# Generated by "))?;
        let inside = heading.split_once('(').and_then(|(_, rest)| rest.split_once(')'));
        Some(inside.map_or("legacy", |(variant, _)| variant))
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.tables.is_empty()
    }

    /// All rules with their table's name, in order.
    pub fn rules(&self) -> impl Iterator<Item = (&str, &Rule)> {
        self.tables.iter().flat_map(|t| t.rules.iter().map(|r| (t.name.as_str(), r)))
    }

    /// All chains with their table's name, in order.
    pub fn chains(&self) -> impl Iterator<Item = (&str, &Chain)> {
        self.tables.iter().flat_map(|t| t.chains.iter().map(|c| (t.name.as_str(), c)))
    }
}

impl Chain {
    fn parse(line: &str) -> Option<Self> {
        let (name, rest) = line.strip_prefix(':')?.split_once(' ')?;
        let (policy, rest) = rest.split_once(' ')?;
        let (counters, rest) = Counters::read(rest)?;
        if !rest.is_empty() || name.is_empty() || policy.is_empty() {
            return None;
        }
        Some(Self { name: name.to_string(), policy: (policy != "-").then(|| policy.to_string()), counters })
    }

    fn print(&self, out: &mut String) {
        out.push(':');
        out.push_str(&self.name);
        out.push(' ');
        out.push_str(self.policy.as_deref().unwrap_or("-"));
        out.push(' ');
        self.counters.print(out);
    }
}

#[cfg(test)]
mod tests;
