//! From checks as written to checks that cannot be wrong. Texts may name values and the lab's nodes; they are known here.

use super::super::file::Text;
use super::super::model::{Lab, Subnet};
use super::super::templates::Stand;
use super::super::types::seconds;
use super::file::{CheckFile, ExpectFile, PodsFile};
use super::{Check, Expect, PodsExpect, RouteExpect};
use crate::template::{self, Scope};
use crate::yaml::{Problem, Problems, closest};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

/// Seconds that a script may take where the check does not say.
const TIMEOUT: u64 = 60;
/// Connections at most in one check; more is a load test, not a proof.
const MAX_REQUESTS: u32 = 10_000;

/// Resolves all checks of a lab.
pub fn resolve(checks: &[CheckFile], lab: &Lab, problems: &mut Problems) -> Vec<Check> {
    let mut resolver = Resolver { lab, scope: scope(lab), problems };
    let mut names = BTreeSet::new();
    let mut all = Vec::new();
    for item in checks {
        if !names.insert(item.name.value.as_str()) {
            let message = format!("a second check named `{}`", item.name.value);
            resolver.problems.add(Problem::new(item.name.span, message));
        }
        all.extend(resolver.check(item));
    }
    all
}

fn scope(lab: &Lab) -> Scope {
    let mut scope: Scope = lab.values.clone().into_iter().collect();
    let nodes = lab.nodes.iter().map(|n| json!({"name": n.name, "address": n.address().map(|a| a.to_string())}));
    scope.insert("nodes".into(), nodes.collect());
    scope.insert("lab".into(), json!({"name": lab.name, "title": lab.title}));
    scope
}

fn meant_names(scope: &Scope) -> String {
    format!("this is read before any node runs; it can name {}", scope.keys().cloned().collect::<Vec<_>>().join(", "))
}

struct Resolver<'a> {
    lab: &'a Lab,
    scope: Scope,
    problems: &'a mut Problems,
}

impl Resolver<'_> {
    fn check(&mut self, item: &CheckFile) -> Option<Check> {
        let name = self.text(&item.name);
        let on = self.nodes(&item.on);
        let hint = item.hint.as_ref().map(|h| self.text(h));
        let expect = match &item.expect {
            ExpectFile::Link { name, kind, mtu } => {
                let (name, kind) = (self.text(name), kind.as_ref().map(|k| self.text(k)));
                Expect::Link { name, kind, mtu: mtu.as_ref().map(|m| self.number(m, u32::MAX)) }
            }
            ExpectFile::Route { to, within, via, dev, count } => {
                if to.is_none() && within.is_none() && via.is_none() && dev.is_none() {
                    let problem = Problem::new(item.span, "which route? Nothing of it is said");
                    self.problems.add(problem.help("say `to`, `within`, `via` or `dev`"));
                }
                let mut text = |text: &Option<Text>| text.as_ref().map(|t| self.text(t));
                let (to, via, dev) = (text(to), text(via), text(dev));
                let within = within.as_ref().and_then(|w| self.subnet(w));
                let count = count.as_ref().map(|c| self.number(c, u32::MAX));
                Expect::Route(RouteExpect { to, within, via, dev, count })
            }
            ExpectFile::Chain { table, name } => Expect::Chain { table: self.text(table), name: self.text(name) },
            ExpectFile::Pods(pods) => Expect::Pods(self.pods(pods)),
            ExpectFile::Service { name, requests } => {
                let requests = requests.as_ref().map_or(20, |r| self.number(r, MAX_REQUESTS));
                Expect::Service { name: self.text(name), requests }
            }
            ExpectFile::Run { script, timeout } => {
                Expect::Run { script: self.script(script, &on), timeout: self.duration(timeout, TIMEOUT) }
            }
        };
        Some(Check { name, on, expect, hint })
    }

    fn pods(&mut self, pods: &PodsFile) -> PodsExpect {
        let labels = pods.labels.iter().map(|(k, v)| (k.value.clone(), self.text(v))).collect();
        let node = pods.node.as_ref().and_then(|n| self.nodes(std::slice::from_ref(n)).pop());
        PodsExpect {
            namespace: pods.namespace.as_ref().map_or("default".to_owned(), |n| self.text(n)),
            labels,
            ready: pods.ready.as_ref().map_or(1, |n| self.number(n, u32::MAX)),
            nodes: pods.nodes.as_ref().map_or(1, |n| self.number(n, u32::MAX)),
            node,
        }
    }

    /// The nodes that are named; all where none is.
    fn nodes(&mut self, named: &[Text]) -> Vec<String> {
        let names: Vec<&str> = self.lab.nodes.iter().map(|n| n.name.as_str()).collect();
        let mut wanted = BTreeSet::new();
        for text in named {
            let name = self.text(text);
            if !names.contains(&name.as_str()) {
                let near = closest(&name, names.iter().copied());
                let help = near.map_or(names.join(", "), |n| format!("did you mean `{n}`?"));
                self.problems.add(Problem::new(text.span, format!("no node `{name}` in this lab")).help(help));
            }
            wanted.insert(name);
        }
        names.iter().filter(|n| named.is_empty() || wanted.contains(**n)).map(|n| n.to_string()).collect()
    }

    fn text(&mut self, text: &Text) -> String {
        if let Err((_, refusal)) = template::try_out(&text.value, std::slice::from_ref(&self.scope)) {
            let help = meant_names(&self.scope);
            self.problems.add(Problem::new(text.span, refusal.explain(&text.value)).help(help));
        }
        template::render(&text.value, &self.scope).unwrap_or_default()
    }

    fn number(&mut self, text: &Text, max: u32) -> u32 {
        let rendered = self.text(text);
        rendered.trim().parse().ok().filter(|n| *n <= max).unwrap_or_else(|| {
            self.problems.add(Problem::new(text.span, format!("`{rendered}` is no whole number up to {max}")));
            0
        })
    }

    fn subnet(&mut self, text: &Text) -> Option<Subnet> {
        let rendered = self.text(text);
        let read = Subnet::parse(&rendered);
        read.map_err(|why| self.problems.add(Problem::new(text.span, why))).ok()
    }

    fn duration(&mut self, text: &Option<Text>, default: u64) -> u64 {
        let Some(text) = text else { return default };
        seconds(&text.value).unwrap_or_else(|why| {
            self.problems.add(Problem::new(text.span, why));
            default
        })
    }

    /// A script may name its node and driver too, which are known when it runs; it is tried out for each.
    fn script(&mut self, text: &Text, on: &[String]) -> String {
        let stand = Stand { lab: self.lab, step: "", on, inputs: &BTreeMap::new(), before: &[] };
        stand.check(&text.value, text.span, false, self.problems);
        text.value.clone()
    }
}
