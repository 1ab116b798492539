//! Declared values and inputs: their declarations, and what is given to them, read by their types.

use super::file::{At, Declared, Text};
use super::resolve::{Beside, Findings};
use super::scope::ALWAYS;
use super::templates::meant;
use super::types::{TYPES, Type};
use crate::yaml::{Node as Tree, Problem, Problems, Span, Value, closest, parse};
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};

/// The declarations that can be used: a name that templates can say, a known type, a default of that type.
pub(super) fn declarations(declared: &[Declared], nodes: &[&str], problems: &mut Problems) -> Vec<Declared> {
    let good = declared.iter().filter(|item| {
        let before = problems.0.len();
        declaration(item, nodes, problems);
        problems.0.len() == before
    });
    good.cloned().collect()
}

fn declaration(item: &Declared, nodes: &[&str], problems: &mut Problems) {
    let name = &item.name.value;
    let fine = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !fine {
        let message = format!("`{name}` is no name for a template: letters, digits and `_`, no digit first");
        let mut problem = Problem::new(item.name.span, message);
        if name.contains('-') {
            problem = problem.help(format!("write `{}`", name.replace('-', "_")));
        }
        problems.add(problem);
    }
    if ALWAYS.contains(&name.as_str()) {
        let message = format!("`{name}` is there in every template already; choose another name");
        problems.add(Problem::new(item.name.span, message));
    }
    let Some(kind) = Type::parse(&item.kind.value) else {
        let help = meant(&item.kind.value, TYPES.iter().map(|(n, _)| *n), "Types");
        return problems.add(Problem::new(item.kind.span, format!("unknown type `{}`", item.kind.value)).help(help));
    };
    if let Some(default) = &item.default
        && let Err(why) = kind.read(&default.value, nodes)
    {
        problems.add(Problem::new(default.span, format!("`{name}`: {why}")));
    }
}

/// Gives each declared name its value, given or default. `span` is where a missing one is missed.
pub(super) fn typed(
    declared: &[Declared],
    given: &[(Text, Text)],
    nodes: &[&str],
    span: Span,
    problems: &mut Problems,
) -> BTreeMap<String, Json> {
    let mut all = BTreeMap::new();
    for item in declared {
        let name = &item.name.value;
        let given = given.iter().find(|(k, _)| k.value == *name).map(|(_, v)| v);
        let Some(text) = given.or(item.default.as_ref()) else {
            problems.add(Problem::new(span, format!("`{name}` has no default and is not given")));
            continue;
        };
        let read = Type::parse(&item.kind.value).map(|kind| kind.read(&text.value, nodes));
        match read {
            Some(Ok(value)) => {
                all.insert(name.clone(), value);
            }
            Some(Err(why)) => problems.add(Problem::new(text.span, format!("`{name}`: {why}"))),
            None => {}
        }
    }
    all
}

/// The lab's values: of files (a later one wins), and of the command line, which wins over them. With them the texts of
/// those that were given.
pub(super) fn of_lab(
    declared: &[Declared],
    set: &BTreeMap<String, String>,
    beside: &Beside,
    nodes: &[&str],
    problems: &mut Problems,
    findings: &mut Findings,
) -> (BTreeMap<String, Json>, BTreeMap<String, String>) {
    let mut good = declarations(declared, nodes, problems);
    let known: Vec<&str> = declared.iter().map(|v| v.name.value.as_str()).collect();
    let at = |value: &String| At { value: value.clone(), span: Span::default() };
    // A remembered value that the lab file has no use for any more is forgotten.
    let fits = |(name, value): &(&String, &String)| read(declared, &at(name), &at(value), nodes).is_ok();
    let mut given: BTreeMap<String, Text> =
        beside.remembered.iter().filter(fits).map(|(name, value)| (name.clone(), at(value))).collect();
    let mut refused = BTreeSet::new();
    for (file, text) in &beside.values {
        let mut theirs = Problems::default();
        for (name, value) in of_file(text, &mut theirs) {
            match read(declared, &name, &value, nodes) {
                Ok(()) => {
                    given.insert(name.value, value);
                }
                Err(problem) => {
                    theirs.add(problem);
                    refused.insert(name.value);
                }
            }
        }
        findings.take(theirs, file, text);
    }
    for (name, value) in set {
        if !known.contains(&name.as_str()) {
            let help = closest(name, known.iter().copied()).map(|near| format!("did you mean `{near}`?"));
            let message = format!("--set {name}: the lab has no such value; it has {}", known.join(", "));
            let problem = Problem::new(Span::default(), message);
            problems.add(help.map_or(problem.clone(), |help| problem.help(help)));
        }
        match read(declared, &at(name), &at(value), nodes) {
            Err(problem) if known.contains(&name.as_str()) => {
                problems.add(Problem::new(Span::default(), format!("--set {}", problem.message)));
                refused.insert(name.clone());
            }
            _ => {
                given.insert(name.clone(), at(value));
            }
        }
    }
    good.retain(|d| given.contains_key(&d.name.value) || !refused.contains(&d.name.value));
    let texts = given.iter().map(|(name, text)| (name.clone(), text.value.clone())).collect();
    let given: Vec<(Text, Text)> = given.into_iter().map(|(name, value)| (at(&name), value)).collect();
    let mut all = typed(&good, &given, nodes, Span::default(), problems);
    stand_in(declared, &mut all);
    (all, texts)
}

/// What is missing was a problem already; templates that name it are none.
pub(super) fn stand_in(declared: &[Declared], all: &mut BTreeMap<String, Json>) {
    for item in declared {
        let kind = Type::parse(&item.kind.value);
        let default = item.default.as_ref().and_then(|text| kind?.read(&text.value, &[]).ok());
        let sample = || match kind {
            Some(Type::Int) => Json::from(0),
            Some(Type::Bool) => Json::from(false),
            _ => Json::from(""),
        };
        all.entry(item.name.value.clone()).or_insert_with(|| default.unwrap_or_else(sample));
    }
}

/// Whether a value of a file is declared and of its type.
fn read(declared: &[Declared], name: &Text, value: &Text, nodes: &[&str]) -> Result<(), Problem> {
    let Some(item) = declared.iter().find(|d| d.name.value == name.value) else {
        let help = meant(&name.value, declared.iter().map(|d| d.name.value.as_str()), "Values of the lab");
        return Err(Problem::new(name.span, format!("the lab has no value `{}`", name.value)).help(help));
    };
    let read = Type::parse(&item.kind.value).map_or(Ok(()), |kind| kind.read(&value.value, nodes).map(drop));
    read.map_err(|why| Problem::new(value.span, format!("`{}`: {why}", name.value)))
}

/// The entries of a values file: a mapping of names to single values.
fn of_file(text: &str, problems: &mut Problems) -> Vec<(Text, Text)> {
    let tree = match parse(text) {
        Ok(Tree { value: Value::Map(entries), .. }) => entries,
        Ok(other) => {
            problems.add(Problem::new(other.span, format!("a values file is a mapping, but this is {}", other.kind())));
            return Vec::new();
        }
        Err(problem) => {
            problems.add(problem);
            return Vec::new();
        }
    };
    let mut all = Vec::new();
    for (key, node) in tree {
        match node.text() {
            Some(value) => {
                all.push((At { value: key.text, span: key.span }, At { value: value.to_owned(), span: node.span }))
            }
            None => {
                let message = format!("`{}` is a single value, but this is {}", key.text, node.kind());
                problems.add(Problem::new(node.span, message));
            }
        }
    }
    all
}
