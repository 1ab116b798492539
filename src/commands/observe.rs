//! `lab observe`: what the nodes' networks look like now, kept under a name.

use super::{Outcome, observed, which};
use crate::cli;
use crate::error::{Error, Result};
use crate::event::Reporter;
use crate::executor::{self, keep_observation};
use crate::lab::name_problem;
use crate::observe::Observation;
use crate::paths::Paths;
use crate::state::record::LabRecord;
use crate::ui::{ago, table};
use serde_json::json;

/// Takes an observation of the named nodes, or lists those that are kept.
pub async fn observe(args: cli::Observe, paths: &Paths, reporter: &Reporter) -> Result<Outcome> {
    if args.list {
        return list(args, paths).map(Outcome::from);
    }
    let record = which::record(args.lab.as_deref(), paths)?;
    if let Some(why) = name_problem(&args.name) {
        return Err(Error::input(format!("keep the observation {}", args.name), why));
    }
    let nodes = nodes(&record, &args.nodes)?;
    let seen = observed::now(&record, &nodes, args.conntrack, paths).await?;
    let folder = executor::observation(&paths.lab(&record.lab.name), &args.name);
    if !seen.texts.is_empty() {
        Paths::make_private(&folder)?;
    }
    for (node, text) in &seen.texts {
        keep_observation(&folder, node, text)?;
    }
    seen.failed.iter().for_each(|e| reporter.note(e.to_string()));
    let mut text = if args.json { as_json("observations", &json!({"nodes": seen.nodes}))? } else { shown(&seen.nodes) };
    if !args.json && !seen.nodes.is_empty() {
        text += &format!("\nkept as `{}`; {}\n", args.name, compare(&record.lab.name, &args.name, paths));
    }
    Ok(Outcome { text, code: u8::from(!seen.failed.is_empty()) })
}

/// The command that compares an observation: with `before` where there is one, else with the latest other one.
fn compare(lab: &str, name: &str, paths: &Paths) -> String {
    let others: Vec<String> =
        observed::names(lab, paths).into_iter().map(|(other, _)| other).filter(|other| other != name).collect();
    let option = which::option(lab, paths);
    match others.iter().find(|other| *other == "before").or(others.last()) {
        Some(other) => format!("`lab diff {other} {name}{option}` shows what changed between"),
        None => format!("`lab diff {name}{option}` shows what has changed since"),
    }
}

/// The nodes that a verb means: those named, else all.
pub fn nodes(record: &LabRecord, named: &[String]) -> Result<Vec<String>> {
    let known: Vec<&str> = record.lab.nodes.iter().map(|n| n.name.as_str()).collect();
    if let Some(stranger) = named.iter().find(|n| !known.contains(&n.as_str())) {
        let why = format!("{} has no such node; it has {}", record.lab.name, known.join(", "));
        return Err(which::near(Error::input(format!("use the node {stranger}"), why), stranger, known));
    }
    let wanted = |n: &&&str| named.is_empty() || named.iter().any(|w| w == **n);
    Ok(known.iter().filter(wanted).map(|n| n.to_string()).collect())
}

/// Facts as JSON under a name, with its version.
pub fn as_json<T: serde::Serialize + ?Sized>(what: &str, facts: &T) -> Result<String> {
    let facts = serde_json::to_value(facts).map_err(|e| Error::failed("write JSON", e))?;
    Ok(super::json(what, facts))
}

fn shown(nodes: &[Observation]) -> String {
    let titles =
        ["NODE", "LINKS", "ADDRESSES", "ROUTES", "NEIGHBOURS", "FDB", "CHAINS", "RULES", "CONNECTIONS", "UNREAD"];
    let row = |o: &Observation| {
        let counted = |section: &str, n: usize| if o.has(section) { n.to_string() } else { "?".to_owned() };
        let routes = o.routes.iter().filter(|r| r.table != "local").count();
        vec![
            o.node.clone(),
            counted("links", o.links.len()),
            counted("addresses", o.addresses.len()),
            counted("routes", routes),
            counted("neighbours", o.neighbours.len()),
            counted("fdb", o.fdb.len()),
            counted("rules", o.rules.chains().count()),
            counted("rules", o.rules.rules().count()),
            if o.connections.is_empty() { "-".to_owned() } else { o.connections.len().to_string() },
            o.raw.len().to_string(),
        ]
    };
    let rows: Vec<Vec<String>> = nodes.iter().map(row).collect();
    let mut out = if rows.is_empty() { String::new() } else { table(&titles, &rows) };
    for node in nodes {
        let notes = node.notes.iter().map(|n| format!("note: {}: {}: {}\n", node.node, n.section, n.text));
        out += &notes.collect::<String>();
    }
    out
}

fn list(args: cli::Observe, paths: &Paths) -> Result<String> {
    let lab = which::name(args.lab.as_deref(), paths)?;
    let mut rows = Vec::new();
    for (name, time) in observed::names(&lab, paths) {
        let nodes = observed::kept(&lab, &name, paths)?;
        let cluster = if nodes.iter().any(|n| n.cluster.is_some()) { "yes" } else { "-" };
        let names: Vec<&str> = nodes.iter().map(|n| n.node.as_str()).collect();
        rows.push(vec![name, ago(time), names.join(", "), cluster.to_owned()]);
    }
    if args.json {
        let row = |r: Vec<String>| json!({"name": r[0], "nodes": r[2].split(", ").collect::<Vec<_>>()});
        return as_json("notes", &json!({"notes": rows.into_iter().map(row).collect::<Vec<_>>()}));
    }
    if rows.is_empty() {
        let option = which::option(&lab, paths);
        return Ok(format!("{lab} has no observations yet; `lab observe{option}` takes one\n"));
    }
    Ok(table(&["NAME", "TAKEN", "NODES", "CLUSTER"], &rows))
}
