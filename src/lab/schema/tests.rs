//! The schema says what the decoder reads, no more and no less: key by key, and by breaking the labs in the box in every
//! place.

use super::table::{COMPOSITE, LAB, NAMED_PROBE, PARTS};
use super::{File, Object, schema};
use crate::embedded;
use crate::lab::file::decode;
use crate::lab::resolve::{Beside, Sources, resolve_with};
use crate::lab::step_file::{composite, named_probe};
use crate::yaml::{Key, Node, Problems, Value, parse};
use serde_json::{Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};

/// The tree as an editor's YAML reader would see it.
fn json(node: &Node) -> Json {
    match &node.value {
        Value::Null => Json::Null,
        Value::Scalar { text, quoted: true } => json!(text),
        Value::Scalar { text, .. } => match text.as_str() {
            "true" => json!(true),
            "false" => json!(false),
            _ => text.parse::<i64>().map(Json::from).unwrap_or_else(|_| json!(text)),
        },
        Value::List(items) => items.iter().map(json).collect(),
        Value::Map(entries) => Json::Object(entries.iter().map(|(k, v)| (k.text.clone(), json(v))).collect()),
    }
}

fn validator(file: File) -> jsonschema::Validator {
    jsonschema::validator_for(&schema(file)).unwrap()
}

/// The tree as YAML, in its JSON form, for the resolver.
fn resolves(node: &Node) -> Result<(), String> {
    let text = written(node);
    let beside = Beside { templates: embedded::template_paths(), ..Beside::default() };
    let sources = Sources { name: "l.yaml", text: &text, library: &embedded::template, set: &BTreeMap::new() };
    resolve_with(&sources, &beside).map(drop).map_err(|e| e.why)
}

fn written(node: &Node) -> String {
    match &node.value {
        Value::Null => "null".into(),
        Value::Scalar { text, quoted: false } if !text.contains(['\n', ':', '#', ',', '{', '[', ']', '}']) => {
            text.clone()
        }
        Value::Scalar { text, .. } => json!(text).to_string(),
        Value::List(items) => format!("[{}]", items.iter().map(written).collect::<Vec<_>>().join(", ")),
        Value::Map(entries) => {
            let entries = entries.iter().map(|(k, v)| format!("{}: {}", json!(k.text), written(v)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
        }
    }
}

/// The tree with one thing broken, for every place and every way to break it.
fn broken(node: &Node) -> Vec<(String, Node)> {
    let mut all = Vec::new();
    let other = |value: Value| Node { value, span: node.span };
    let text = |text: &str| Value::Scalar { text: text.into(), quoted: false };
    let zzz = |value| (Key { text: "zzz".into(), span: node.span }, other(value));
    all.push(("nothing".to_owned(), other(Value::Null)));
    all.push(("a list".to_owned(), other(Value::List(vec![other(Value::List(Vec::new()))]))));
    all.push(("a mapping".to_owned(), other(Value::Map(vec![zzz(text("1"))]))));
    all.push(("~~".to_owned(), other(text("~~"))));
    match &node.value {
        Value::Map(entries) => {
            for (index, (key, value)) in entries.iter().enumerate() {
                let mut without = entries.clone();
                without.remove(index);
                all.push((format!("without {}", key.text), other(Value::Map(without.clone()))));
                without.insert(index, (Key { text: "zzz".into(), span: key.span }, value.clone()));
                all.push((format!("{} as zzz", key.text), other(Value::Map(without))));
                for (how, inner) in broken(value) {
                    let mut with = entries.clone();
                    with[index].1 = inner;
                    all.push((format!("{}: {how}", key.text), other(Value::Map(with))));
                }
            }
        }
        Value::List(items) => {
            for (index, item) in items.iter().enumerate() {
                for (how, inner) in broken(item) {
                    let mut with = items.clone();
                    with[index] = inner;
                    all.push((format!("{index}: {how}"), other(Value::List(with))));
                }
            }
        }
        Value::Null | Value::Scalar { .. } => {}
    }
    all
}

/// A lab file that uses every key there is.
const ALL: &str = include_str!("all.yaml");

#[test]
fn the_labs_in_the_box_and_the_templates_are_good() {
    let lab = validator(File::Lab);
    for (name, text) in embedded::labs().into_iter().chain([("all".to_owned(), ALL)]) {
        let tree = json(&parse(text).unwrap());
        let errors: Vec<String> = lab.iter_errors(&tree).map(|e| format!("{}: {e}", e.instance_path())).collect();
        assert!(errors.is_empty(), "{name}: {errors:?}");
    }
    for path in embedded::template_paths() {
        let text = embedded::template(&path).unwrap().1;
        let file = match (path.starts_with("probes/"), text.contains("\nsteps:\n")) {
            (true, _) => File::Probe,
            (false, true) if path != "lab.yaml" => File::Composite,
            _ => continue,
        };
        let tree = json(&parse(&text).unwrap());
        let errors: Vec<String> = validator(file).iter_errors(&tree).map(|e| e.to_string()).collect();
        assert!(errors.is_empty(), "{path}: {errors:?}");
    }
}

#[test]
fn what_breaks_a_lab_breaks_it_for_both() {
    let lab = validator(File::Lab);
    let mut seen = 0;
    for text in [ALL, include_str!("../../../labs/two-nodes.yaml")] {
        let tree = parse(text).unwrap();
        assert_eq!(resolves(&tree), Ok(()));
        for (how, tree) in broken(&tree) {
            seen += 1;
            let refused = !lab.is_valid(&json(&tree));
            let mut problems = Problems::default();
            let shape = decode(&tree, &mut problems).is_none() || !problems.is_empty();
            if shape {
                assert!(refused, "the decoder refuses, the schema does not: {how}: {:?}", problems.0);
            }
            if refused {
                assert!(shape || resolves(&tree).is_err(), "the schema refuses, the lab file is good: {how}");
            }
        }
    }
    assert!(seen > 500, "{seen} ways to break a lab");
}

/// What the decoder allows in the mapping that has the key `zzz`, by its own message.
fn allowed(problems: &Problems) -> BTreeSet<String> {
    let problem = problems.0.iter().find(|p| p.message == "unknown key `zzz`").expect("it refuses zzz");
    let keys = problem.help.as_deref().unwrap().rsplit(": ").next().unwrap().to_owned();
    keys.split(", ").map(str::to_owned).collect()
}

fn declared(object: &Object) -> BTreeSet<String> {
    object.keys.iter().map(|k| k.name.to_owned()).collect()
}

#[test]
fn every_key_of_the_decoder_is_in_the_table_and_the_other_way_round() {
    let lab = |text: &str| {
        let mut problems = Problems::default();
        decode(&parse(text).unwrap(), &mut problems);
        allowed(&problems)
    };
    let step = |text: &str| lab(&format!("steps: [{text}]"));
    let mut found: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    found.insert("lab", lab("zzz: 1"));
    found.insert("declaration", lab("values: {a: {type: string, zzz: 1}}"));
    found.insert("network", lab("networks: {a: {zzz: 1}}"));
    found.insert("node", lab("nodes: {a: {zzz: 1}}"));
    found.insert("step", step("{zzz: 1, run: x}"));
    found.insert("file", step("{upload: {to: /x, content: x, zzz: 1}}"));
    let mut inline = step("{wait: {description: x, run: x, zzz: 1}}");
    assert!(inline.remove("probe"), "the decoder asks for it to tell the two apart");
    found.insert("inline_probe", inline);
    found.insert("probe_with_inputs", step("{wait: {probe: x, zzz: 1}}"));
    found.insert("output", step("{run: x, outputs: {a: {zzz: 1}}}"));
    found.insert("chapter", lab("chapters: [{name: a, text: x, zzz: 1}]"));
    found.insert("export", lab("exports: {a: {zzz: 1}}"));
    found.insert("tool", lab("tools: {a: {zzz: 1}}"));
    let check = |text: &str| lab(&format!("checks: [{{name: a, {text}}}]"));
    found.insert("check", check("run: x, zzz: 1"));
    for kind in ["link", "route", "chain", "pods", "service"] {
        found.insert(kind, check(&format!("{kind}: {{zzz: 1}}")));
    }
    let mut problems = Problems::default();
    composite(&parse("zzz: 1").unwrap(), &mut problems);
    found.insert("composite", allowed(&problems));
    let mut problems = Problems::default();
    named_probe(&parse("zzz: 1").unwrap(), &mut problems);
    found.insert("probe", allowed(&problems));
    for object in [&LAB, &COMPOSITE, &NAMED_PROBE].into_iter().chain(PARTS) {
        assert_eq!(found.remove(object.id), Some(declared(object)), "{}: src/lab/schema/table.rs", object.id);
    }
    assert!(found.is_empty());
}

#[test]
fn the_file_of_every_key_uses_every_key() {
    let tree = parse(ALL).unwrap();
    let text = written(&tree);
    for object in [&LAB].into_iter().chain(PARTS) {
        for key in object.keys {
            assert!(text.contains(&format!("{:?}: ", key.name)), "{} of {}", key.name, object.id);
        }
    }
}
