//! `lab status`, `lab list`.

use super::drivers::{AnyDriver, open};
use super::{silence, which};
use crate::cli;
use crate::driver::{Driver, NodeState};
use crate::embedded;
use crate::error::Result;
use crate::lab::model::NetworkKind;
use crate::lab::model::Node;
use crate::network;
use crate::paths::Paths;
use crate::state::journal::{Journal, What};
use crate::state::record::{LabRecord, existing, place, with_notes_only};
use crate::ui::table;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;

/// A node as it is.
struct Seen<'a> {
    node: &'a Node,
    state: &'static str,
    ssh: Option<String>,
    trouble: Option<String>,
}

/// The lab's nodes, by what the host says of each and by whether it answers.
async fn seen<'a>(record: &'a LabRecord, driver: &AnyDriver, paths: &Paths) -> Result<Vec<Seen<'a>>> {
    let (mut all, mut running) = (Vec::new(), BTreeMap::new());
    for node in &record.lab.nodes {
        let place = place(paths, &record.lab.name, &node.name);
        let trouble = driver.trouble(&place).await;
        let (state, ssh) = match driver.inspect(&place).await? {
            NodeState::Absent => ("not created", None),
            NodeState::Stopped => ("stopped", None),
            NodeState::Running(endpoint) => {
                running.insert(node.name.clone(), endpoint.clone());
                ("running", Some(endpoint.ssh.to_string()))
            }
        };
        all.push(Seen { node, state, ssh, trouble });
    }
    let silent = silence::among(record, driver, &running, paths).await;
    for seen in &mut all {
        if let Some(why) = silent.get(&seen.node.name) {
            seen.state = "no answer";
            let why = format!("it runs, but does not answer; it boots, hangs, or is far too busy: {why}");
            seen.trouble = Some(seen.trouble.take().map_or(why.clone(), |trouble| format!("{trouble}; {why}")));
        }
    }
    Ok(all)
}

/// `lab status`: read from the host, not from memory.
pub async fn status(args: cli::Facts, paths: &Paths) -> Result<String> {
    let record = which::record(args.which.lab.as_deref(), paths)?;
    let lab = &record.lab;
    let driver = open(&record.driver, &record.image, paths).await?;
    let nodes = seen(&record, &driver, paths).await?;
    let steps = steps(&record, paths);
    if args.json {
        let node = |n: &Seen| json!({"name": n.node.name, "state": n.state, "address": n.node.address(), "ssh": n.ssh, "trouble": n.trouble});
        let nodes: Vec<Json> = nodes.iter().map(node).collect();
        let [done, failed, begun] = &steps;
        let facts = json!({
            "lab": lab.name, "title": lab.title, "driver": record.driver, "file": record.file, "nodes": nodes,
            "steps": {"done": done, "failed": failed, "begun": begun},
        });
        return Ok(super::json("status", facts));
    }
    let row = |n: &Seen| {
        let address = n.node.address().map_or("-".into(), |a| a.to_string());
        vec![n.node.name.clone(), n.state.to_owned(), address, n.ssh.clone().unwrap_or("-".into())]
    };
    let rows: Vec<Vec<String>> = nodes.iter().map(row).collect();
    let mut out = format!("{}: {}\n", lab.name, lab.title);
    out += &format!("driver {}: {}\n\n", record.driver, driver.facts().description);
    out += &table(&["NODE", "STATE", "ADDRESS", "SSH"], &rows);
    for Seen { node, trouble, .. } in &nodes {
        out.extend(trouble.iter().map(|trouble| format!("{}: {trouble}\n", node.name)));
    }
    if nodes.iter().any(|n| n.ssh.is_some()) && switch_is_missing(&record, paths) {
        out += &format!("\nthe network switch does not run; `lab up {}` starts it again\n", record.lab.name);
    }
    let [done, failed, begun] = &steps;
    out += &format!("\nsteps: {} done", done.len());
    for (names, word) in [(failed, "failed"), (begun, "begun and not finished")] {
        if !names.is_empty() {
            out += &format!("; {word}: {}", names.join(", "));
        }
    }
    Ok(out + "\n")
}

/// Virtual machines reach each other by a process of the lab.
fn switch_is_missing(record: &LabRecord, paths: &Paths) -> bool {
    let segments = record.lab.networks.iter().any(|n| n.kind != NetworkKind::Nat);
    record.driver == "qemu" && segments && network::process::find(&paths.lab_run(&record.lab.name)).is_none()
}

/// The steps that are done, failed, and begun without an end, by the journal.
fn steps(record: &LabRecord, paths: &Paths) -> [Vec<String>; 3] {
    let records = Journal::look(&paths.lab(&record.lab.name).join("journal"));
    let mut last: BTreeMap<&str, What> = BTreeMap::new();
    for r in &records {
        match (r.what, r.task.strip_prefix("boot ")) {
            // What was done on an earlier disk is void.
            (What::Created | What::Lost, Some(node)) => last.retain(|task, _| !task.ends_with(&format!("@{node}"))),
            (What::Created | What::Lost, None) => last.clear(),
            _ => drop(last.insert(&r.task, r.what)),
        }
    }
    let named = |what: What| last.iter().filter(|(_, w)| **w == what).map(|(t, _)| (*t).to_owned()).collect();
    [What::Done, What::Failed, What::Started].map(named)
}

/// `lab list`.
pub fn list(as_json: bool, paths: &Paths) -> Result<String> {
    let existing = existing(paths);
    let boxed: Vec<String> = embedded::labs().into_iter().map(|(name, _)| name).collect();
    let mut rows = Vec::new();
    for (name, _) in embedded::labs() {
        let title = which::find(Some(&name), &[], paths).map(|f| f.lab.title)?;
        let state = if existing.contains(&name) { "exists" } else { "-" };
        rows.push(vec![name, state.to_owned(), title]);
    }
    for name in existing {
        if !rows.iter().any(|r| r[0] == name) {
            let title = LabRecord::load(paths, &name).ok().flatten().map_or("-".to_owned(), |r| r.lab.title);
            rows.push(vec![name, "exists".to_owned(), title]);
        }
    }
    for name in with_notes_only(paths) {
        match rows.iter_mut().find(|r| r[0] == name) {
            Some(row) => row[1] = "notes".to_owned(),
            None => rows.push(vec![name, "notes".to_owned(), "-".to_owned()]),
        }
    }
    if as_json {
        let lab = |row: &Vec<String>| json!({"name": row[0], "title": row[2], "exists": row[1] == "exists", "boxed": boxed.contains(&row[0])});
        return Ok(super::json("labs", json!({"labs": rows.iter().map(lab).collect::<Vec<_>>()})));
    }
    Ok(table(&["LAB", "STATE", "TITLE"], &rows))
}
