//! Checks as written.

use super::super::file::{Text, optional, required, text_at};
use super::super::step_file::pairs;
use crate::yaml::{MapReader, Node as Tree, Problem, Problems, Span};

/// A check as written: exactly one expectation.
#[derive(Debug, Clone)]
pub struct CheckFile {
    pub span: Span,
    pub name: Text,
    pub on: Vec<Text>,
    pub hint: Option<Text>,
    pub expect: ExpectFile,
}

/// What is expected, as written.
#[derive(Debug, Clone)]
pub enum ExpectFile {
    Link { name: Text, kind: Option<Text>, mtu: Option<Text> },
    Route { to: Option<Text>, within: Option<Text>, via: Option<Text>, dev: Option<Text>, count: Option<Text> },
    Chain { table: Text, name: Text },
    Pods(PodsFile),
    Service { name: Text, requests: Option<Text> },
    Run { script: Text, timeout: Option<Text> },
}

/// Pods as written.
#[derive(Debug, Clone)]
pub struct PodsFile {
    pub namespace: Option<Text>,
    pub labels: Vec<(Text, Text)>,
    pub ready: Option<Text>,
    pub nodes: Option<Text>,
    pub node: Option<Text>,
}

/// The expectations by their keys.
const EXPECTS: [&str; 6] = ["link", "route", "chain", "pods", "service", "run"];

/// Decodes `checks:`.
pub fn decode(items: &[Tree], problems: &mut Problems) -> Vec<CheckFile> {
    items.iter().filter_map(|item| check(item, problems)).collect()
}

fn check(tree: &Tree, problems: &mut Problems) -> Option<CheckFile> {
    let mut map = MapReader::new(tree, "a check", problems)?;
    let name = required(&mut map, "name", problems);
    let on = map.texts("on", problems).into_iter().map(text_at).collect();
    let hint = optional(&mut map, "hint", problems);
    let timeout = optional(&mut map, "timeout", problems);
    let present: Vec<&str> = EXPECTS.into_iter().filter(|key| map.optional(key).is_some()).collect();
    let expect = match present.as_slice() {
        ["run"] => {
            optional(&mut map, "run", problems).map(|script| ExpectFile::Run { script, timeout: timeout.clone() })
        }
        [one] => typed(one, map.optional(one)?, problems),
        _ => {
            let found = if present.is_empty() { "none".to_owned() } else { present.join(", ") };
            let problem = Problem::new(map.span(), format!("a check expects exactly one thing, here {found}"));
            problems.add(problem.help(format!("one of: {}", EXPECTS.join(", "))));
            None
        }
    };
    if let (Some(timeout), Some(_)) = (&timeout, expect.as_ref().filter(|e| !matches!(e, ExpectFile::Run { .. }))) {
        problems.add(Problem::new(timeout.span, "`timeout` goes with `run`"));
    }
    map.finish(problems);
    Some(CheckFile { span: tree.span, name: name?, on, hint, expect: expect? })
}

fn typed(key: &str, tree: &Tree, problems: &mut Problems) -> Option<ExpectFile> {
    let mut map = MapReader::new(tree, "an expectation", problems)?;
    let expect = match key {
        "link" => {
            let name = required(&mut map, "name", problems);
            let (kind, mtu) = (optional(&mut map, "kind", problems), optional(&mut map, "mtu", problems));
            name.map(|name| ExpectFile::Link { name, kind, mtu })
        }
        "route" => {
            let mut text = |key| optional(&mut map, key, problems);
            let (to, within, via) = (text("to"), text("within"), text("via"));
            Some(ExpectFile::Route { to, within, via, dev: text("dev"), count: text("count") })
        }
        "chain" => {
            let (table, name) = (required(&mut map, "table", problems), required(&mut map, "name", problems));
            table.zip(name).map(|(table, name)| ExpectFile::Chain { table, name })
        }
        "pods" => {
            let labels = pairs(&mut map, "labels", problems);
            let mut text = |key| optional(&mut map, key, problems);
            let (namespace, ready) = (text("namespace"), text("ready"));
            Some(ExpectFile::Pods(PodsFile { namespace, labels, ready, nodes: text("nodes"), node: text("node") }))
        }
        _ => {
            let name = required(&mut map, "name", problems);
            let requests = optional(&mut map, "requests", problems);
            name.map(|name| ExpectFile::Service { name, requests })
        }
    };
    map.finish(problems);
    expect
}
