//! `lab status`, `lab list`.

use super::drivers::open;
use super::which;
use crate::cli;
use crate::driver::{Driver, NodeState};
use crate::embedded;
use crate::error::Result;
use crate::lab::model::NetworkKind;
use crate::network;
use crate::paths::Paths;
use crate::state::journal::{Journal, What};
use crate::state::record::{LabRecord, existing, place, with_notes_only};
use crate::ui::table;
use std::collections::BTreeMap;

/// `lab status`: read from the host, not from memory.
pub async fn status(args: cli::Which, paths: &Paths) -> Result<String> {
    let record = which::record(args.lab.as_deref(), paths)?;
    let driver = open(&record.driver, &record.image, paths).await?;
    let mut rows = Vec::new();
    for node in &record.lab.nodes {
        let (state, ssh) = match driver.inspect(&place(paths, &record.lab.name, &node.name)).await? {
            NodeState::Absent => ("not created", String::from("-")),
            NodeState::Stopped => ("stopped", String::from("-")),
            NodeState::Running(endpoint) => ("running", endpoint.ssh.to_string()),
        };
        let address = node.address().map_or("-".into(), |a| a.to_string());
        rows.push(vec![node.name.clone(), state.to_owned(), address, ssh]);
    }
    let mut out = format!("{}: {}\n{}\n\n", record.lab.name, record.lab.title, driver.facts().description);
    out += &table(&["NODE", "STATE", "ADDRESS", "SSH"], &rows);
    if rows.iter().any(|row| row[1] == "running") && switch_is_missing(&record, paths) {
        out += &format!("\nthe network switch does not run; `lab up {}` starts it again\n", record.lab.name);
    }
    out += &format!("\n{}", steps(&record, paths));
    Ok(out)
}

/// Virtual machines reach each other by a process of the lab.
fn switch_is_missing(record: &LabRecord, paths: &Paths) -> bool {
    let segments = record.lab.networks.iter().any(|n| n.kind != NetworkKind::Nat);
    record.driver == "qemu" && segments && network::process::find(&paths.lab_run(&record.lab.name)).is_none()
}

/// How far the steps are, by the journal.
fn steps(record: &LabRecord, paths: &Paths) -> String {
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
    let named = |what: What| last.iter().filter(|(_, w)| **w == what).map(|(t, _)| *t).collect::<Vec<_>>();
    let mut out = format!("steps: {} done", named(What::Done).len());
    for (what, word) in [(What::Failed, "failed"), (What::Started, "begun and not finished")] {
        let names = named(what);
        if !names.is_empty() {
            out += &format!("; {word}: {}", names.join(", "));
        }
    }
    out + "\n"
}

/// `lab list`.
pub fn list(paths: &Paths) -> Result<String> {
    let existing = existing(paths);
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
    Ok(table(&["LAB", "STATE", "TITLE"], &rows))
}
