//! A packet's walk through the chains of a table: every way it can go, each with its share.

use super::super::observation::Observation;
use super::super::rules::{Index, Rule};
use super::packet::{self, Answer, Packet};
use super::prefix;
use serde::{Deserialize, Serialize};
use std::rc::Rc;

/// Rules asked in one walk at most; a rule set that loops ends here. 5,000 services take some 15,000.
const BUDGET: usize = 200_000;
/// Ways of one walk at most: more endpoints than a service of Kubernetes has.
const WAYS: usize = 10_000;
/// Chains inside chains at most; kube-proxy's are four deep.
const DEPTH: usize = 16;

/// One rule that a packet met and matched.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    pub table: String,
    pub chain: String,
    /// The rule as iptables-save writes it.
    pub rule: String,
    /// What it does, in words.
    pub says: String,
    /// The part of the packets reaching the rule that it takes: 1 but for statistic rules.
    pub takes: f64,
}

/// How a walk through a table ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    /// The destination becomes this address:port.
    Dnat {
        to: String,
    },
    Masquerade,
    /// Let through by a rule, or by the chain's policy.
    Accept,
    Drop,
    Reject {
        with: String,
    },
    /// Ends in a target that is not understood.
    Other {
        target: String,
    },
}

/// One way through a table.
#[derive(Debug, Clone)]
pub(super) struct Way {
    /// Of 1.
    pub share: f64,
    pub packet: Packet,
    pub steps: Vec<Rc<Step>>,
    pub verdict: Verdict,
}

/// Walks one table of one node.
pub(super) struct Walker<'a> {
    index: &'a Index<'a>,
    seen: &'a Observation,
    table: &'a str,
    left: usize,
    /// What was not understood on the way.
    pub notes: Vec<String>,
}

#[derive(Clone)]
struct State {
    share: f64,
    packet: Packet,
    steps: Vec<Rc<Step>>,
}

/// Where packets went: out of the table, on to the next rule, back to the chain before.
#[derive(Default)]
struct Out {
    ways: Vec<Way>,
    live: Vec<State>,
    returned: Vec<State>,
}

impl<'a> Walker<'a> {
    pub fn new(index: &'a Index<'a>, seen: &'a Observation, table: &'a str) -> Self {
        Self { index, seen, table, left: BUDGET, notes: Vec::new() }
    }

    /// All ways of a packet from the start of `chain`, the first rule's first.
    pub fn walk(&mut self, chain: &str, packet: Packet) -> Vec<Way> {
        let start = State { share: 1.0, packet, steps: Vec::new() };
        let mut ways = Vec::new();
        let returned = self.chain(chain, start, 0, &mut ways);
        let entry = self.index.chain(self.table, chain).and_then(|e| e.chain);
        let drops = entry.and_then(|c| c.policy.as_deref()) == Some("DROP");
        ways.extend(returned.into_iter().map(|State { share, packet, steps }| {
            let verdict = if drops { Verdict::Drop } else { Verdict::Accept };
            Way { share, packet, steps, verdict }
        }));
        ways
    }

    /// Walks one chain; gives back what returns from it.
    fn chain(&mut self, name: &str, start: State, depth: usize, ways: &mut Vec<Way>) -> Vec<State> {
        if depth > DEPTH {
            self.note(format!("chains nest deeper than {DEPTH}: {name} was not entered"));
            return vec![start];
        }
        let mut out = Out { ways: std::mem::take(ways), live: vec![start], ..Out::default() };
        let index = self.index;
        for rule in index.rules(self.table, name) {
            if self.left == 0 || out.ways.len() > WAYS {
                self.note("the walk was cut short: too many rules or ways".to_string());
                break;
            }
            for state in std::mem::take(&mut out.live) {
                self.left = self.left.saturating_sub(1);
                self.ask(rule, state, depth, &mut out);
            }
            if out.live.is_empty() {
                break;
            }
        }
        *ways = out.ways;
        out.returned.append(&mut out.live);
        out.returned
    }

    /// Splits what reaches a rule into what it takes and what it lets pass.
    fn ask(&mut self, rule: &Rule, mut state: State, depth: usize, out: &mut Out) {
        let takes = match packet::matches(rule, &state.packet, self.seen) {
            Answer::No => 0.0,
            Answer::Yes => 1.0,
            Answer::Chance(p) => p.clamp(0.0, 1.0),
            Answer::Unknown(what) => {
                self.note(format!("{what} is not understood; assumed not to match: {}", rule.body()));
                0.0
            }
        };
        if takes <= 0.0 {
            out.live.push(state);
            return;
        }
        if takes < 1.0 {
            out.live.push(State { share: state.share * (1.0 - takes), ..state.clone() });
            state.share *= takes;
        }
        self.apply(rule, state, takes, depth, out);
    }

    fn apply(&mut self, rule: &Rule, mut state: State, takes: f64, depth: usize, out: &mut Out) {
        let (table, chain) = (self.table.to_string(), rule.chain.clone());
        let step = |says: String| Rc::new(Step { table, chain, rule: rule.body(), says, takes });
        let target = rule.target();
        if let Some(verdict) = verdict(rule, state.packet.port) {
            state.steps.push(step(words(&verdict)));
            if let Verdict::Dnat { to } = &verdict
                && let Some((address, port)) = prefix::parse_endpoint(to, state.packet.port)
            {
                (state.packet.destination, state.packet.port) = (address, port);
                state.packet.translated = true;
            }
            let State { share, packet, steps } = state;
            out.ways.push(Way { share, packet, steps, verdict });
        } else if target == "RETURN" {
            state.steps.push(step("goes back to the chain before".to_string()));
            out.returned.push(state);
        } else if target == "MARK" {
            let says = set_mark(rule, &mut state.packet);
            state.steps.push(step(says.unwrap_or_else(|| "changes the mark in a way not understood".to_string())));
            out.live.push(state);
        } else if self.index.chain(self.table, target).is_some() {
            state.steps.push(step(format!("goes on in {target}")));
            let back = self.chain(target, state, depth + 1, &mut out.ways);
            let goto = rule.jump.as_ref().is_some_and(|j| j.goto);
            if goto { out.returned.extend(back) } else { out.live.extend(back) }
        } else {
            // LOG, NFLOG, CONNMARK and rules that only count let the packet go on.
            out.live.push(state);
        }
    }

    fn note(&mut self, text: String) {
        if !self.notes.contains(&text) {
            self.notes.push(text);
        }
    }
}

fn verdict(rule: &Rule, port: u16) -> Option<Verdict> {
    let option = |name: &str| rule.target_option(name).unwrap_or("").to_string();
    Some(match rule.target() {
        "ACCEPT" => Verdict::Accept,
        "DROP" => Verdict::Drop,
        "REJECT" => Verdict::Reject { with: option("--reject-with") },
        "MASQUERADE" => Verdict::Masquerade,
        "DNAT" => {
            let to = option("--to-destination");
            match prefix::parse_endpoint(&to, port) {
                Some((address, port)) => Verdict::Dnat { to: prefix::endpoint(&address.to_string(), port) },
                None => Verdict::Dnat { to },
            }
        }
        target @ ("SNAT" | "REDIRECT" | "NETMAP" | "TPROXY" | "QUEUE" | "NFQUEUE") => {
            Verdict::Other { target: target.to_string() }
        }
        _ => return None,
    })
}

fn words(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Dnat { to } => format!("sets the destination to {to}"),
        Verdict::Masquerade => "sets the source to the address of the link it leaves by".to_string(),
        Verdict::Accept => "lets it through".to_string(),
        Verdict::Drop => "drops it without an answer".to_string(),
        Verdict::Reject { with } => format!("refuses it with {with}"),
        Verdict::Other { target } => format!("ends in {target}, which is not explained"),
    }
}

/// `--set-xmark V/M`: clears the bits of M, then flips those of V. `--or-mark` and the like are saved as xmark too.
fn set_mark(rule: &Rule, packet: &mut Packet) -> Option<String> {
    let (value, mask) = packet::value_and_mask(rule.target_option("--set-xmark")?)?;
    packet.mark = (packet.mark & !mask) ^ value;
    Some(match value {
        0 => format!("clears the mark {mask:#x}"),
        value => format!("marks the packet {value:#x}: its source will be masqueraded"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::rules::Ruleset;
    use proptest::prelude::*;

    fn walk(rules: &str) -> (Vec<(f64, Verdict)>, Vec<String>) {
        let set = Ruleset::parse(&format!("*nat\n:A ACCEPT [0:0]\n:B - [0:0]\n:C - [0:0]\n{rules}COMMIT\n"));
        let index = Index::new(&set);
        let seen = Observation::default();
        let mut walker = Walker::new(&index, &seen, "nat");
        let packet = Packet {
            source: None,
            destination: "10.0.0.1".parse().unwrap(),
            protocol: "tcp".into(),
            port: 80,
            in_dev: None,
            out_dev: None,
            mark: 0,
            translated: false,
        };
        let ways = walker.walk("A", packet);
        (ways.into_iter().map(|w| (w.share, w.verdict)).collect(), walker.notes)
    }

    #[test]
    fn shares_of_three_endpoints_are_thirds() {
        let (ways, _) = walk(
            "-A A -m statistic --mode random --probability 0.33333333349 -j DNAT --to-destination 1.1.1.1:1\n\
             -A A -m statistic --mode random --probability 0.50000000000 -j DNAT --to-destination 1.1.1.2:1\n\
             -A A -j DNAT --to-destination 1.1.1.3\n",
        );
        assert!(ways.iter().all(|(share, _)| (share - 1.0 / 3.0).abs() < 1e-6), "{ways:?}");
        assert_eq!(ways[2].1, Verdict::Dnat { to: "1.1.1.3:80".into() });
    }

    #[test]
    fn return_goto_mark_and_policy() {
        let (ways, _) = walk(
            "-A A -j B\n-A A -m mark --mark 0x1/0x1 -j DROP\n-A B -j MARK --set-xmark 0x1/0x1\n-A B -j RETURN\n-A B -j ACCEPT\n",
        );
        assert_eq!(ways, [(1.0, Verdict::Drop)]);
        let (ways, _) = walk("-A A -g B\n-A A -j DROP\n-A B -p udp -j DROP\n");
        assert_eq!(ways, [(1.0, Verdict::Accept)]);
        let (ways, notes) =
            walk("-A A -m set --match-set x src -j DROP\n-A A -j LOG\n-A A -j REJECT --reject-with tcp-reset\n");
        assert_eq!(ways, [(1.0, Verdict::Reject { with: "tcp-reset".into() })]);
        assert!(notes[0].contains("--match-set is not understood"));
    }

    #[test]
    fn loops_end() {
        let (ways, notes) =
            walk("-A A -j B\n-A B -j C\n-A C -j B\n-A C -m statistic --mode random --probability 0.5 -j B\n");
        assert!(!ways.is_empty());
        assert!(notes.iter().any(|n| n.contains("deeper") || n.contains("cut short")), "{notes:?}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn shares_add_up_to_one(rules in "(-A [ABC] -m statistic --mode random --probability 0\\.[0-9]{1,3} -j ([BC]|RETURN|DROP|ACCEPT)\n){0,9}") {
            let (ways, notes) = walk(&rules);
            if notes.is_empty() {
                let sum: f64 = ways.iter().map(|w| w.0).sum();
                prop_assert!((sum - 1.0).abs() < 1e-9, "{}", sum);
            }
        }
    }
}
