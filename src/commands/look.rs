//! `lab status`, `lab list`, `lab ssh`.

use super::drivers::{SshReach, open};
use super::which;
use crate::cli;
use crate::driver::{Driver, NodeState};
use crate::embedded;
use crate::error::{Error, Result};
use crate::paths::Paths;
use crate::ssh::{Exit, Session};
use crate::state::journal::{Journal, What};
use crate::state::record::{LabRecord, existing, place};
use crate::ui::table;
use std::collections::BTreeMap;
use std::time::Duration;

/// Seconds to wait for a login to a node that is up, on an accelerated node.
const LOGIN: u64 = 20;

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
    out += &format!("\n{}", steps(&record, paths));
    Ok(out)
}

/// How far the steps are, by the journal.
fn steps(record: &LabRecord, paths: &Paths) -> String {
    let records = Journal::look(&paths.lab(&record.lab.name).join("journal"));
    let mut last: BTreeMap<&str, What> = BTreeMap::new();
    for r in records.iter().filter(|r| r.what != What::Created) {
        last.insert(&r.task, r.what);
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
    Ok(table(&["LAB", "STATE", "TITLE"], &rows))
}

/// `lab ssh`: returns the exit code of what ran there.
pub async fn ssh(args: cli::Ssh, paths: &Paths) -> Result<u8> {
    let record = lab_of(&args, paths)?;
    let driver = open(&record.driver, &record.image, paths).await?;
    let place = place(paths, &record.lab.name, &args.node);
    let what = || format!("open a shell on {}", args.node);
    let NodeState::Running(endpoint) = driver.inspect(&place).await? else {
        return Err(Error::failed(what(), "it is not running").hint(format!("lab up {}", record.lab.name)));
    };
    let slowness = driver.facts().slowness;
    let target = SshReach { record: &record, slowness }.target(&args.node, endpoint)?;
    let limit = Duration::from_secs(LOGIN * slowness);
    let session = Session::wait_for(target, limit, driver.watch(&place)).await?;
    let exit = session.interactive(args.command.as_deref()).await?;
    session.close().await;
    match exit {
        Exit::Code(code) => Ok(u8::try_from(code).unwrap_or(255)),
        Exit::Unknown => Err(Error::failed(what(), "the connection ended without an exit code")),
    }
}

/// The lab that has the node: the one named, the one meant here, else the only one with such a node.
fn lab_of(args: &cli::Ssh, paths: &Paths) -> Result<LabRecord> {
    if args.lab.is_some() {
        return which::record(args.lab.as_deref(), paths);
    }
    let mut with: Vec<LabRecord> = existing(paths)
        .iter()
        .filter_map(|name| LabRecord::load(paths, name).ok().flatten())
        .filter(|record| record.lab.node(&args.node).is_some())
        .collect();
    let what = format!("find the node {}", args.node);
    match (with.pop(), with.is_empty()) {
        (Some(record), true) => Ok(record),
        (Some(_), false) => {
            Err(Error::input(what, "several labs have a node of this name").hint("name the lab with --lab"))
        }
        (None, _) => {
            let known: Vec<String> = existing(paths)
                .iter()
                .filter_map(|name| LabRecord::load(paths, name).ok().flatten())
                .flat_map(|r| r.lab.nodes.into_iter().map(|n| n.name))
                .collect();
            let why = format!(
                "no lab has it; there are {}",
                if known.is_empty() { "no nodes".to_owned() } else { known.join(", ") }
            );
            Err(Error::input(what, why))
        }
    }
}
