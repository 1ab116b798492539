//! `lab check`: the lab file's expectations held against what is there.

use super::explain::count_requests;
use super::observe::{as_json, nodes};
use super::observed::{self, Seen};
use super::reach::running_in;
use super::{Outcome, which};
use crate::cli;
use crate::driver::Driver as _;
use crate::error::{Error, Result};
use crate::event::Reporter;
use crate::executor::{run_script, scope_of_node};
use crate::lab::check::{Check, Expect};
use crate::observe::check::{self, Finding};
use crate::observe::explain;
use crate::paths::Paths;
use crate::state::record::LabRecord;
use crate::{template, ui};
use serde::Serialize;
use std::time::{Duration, Instant};

mod junit;

/// What became of one expectation.
#[derive(Debug, Serialize)]
pub struct Checked {
    pub name: String,
    /// The lab file's word for it.
    pub kind: &'static str,
    pub passed: bool,
    pub findings: Vec<Finding>,
    pub hint: Option<String>,
    pub millis: u64,
}

/// All expectations of a lab: exit code 0 only when all hold.
pub async fn check(args: cli::Check, coloured: bool, paths: &Paths, reporter: &Reporter) -> Result<Outcome> {
    let record = which::record(args.lab.as_deref(), paths)?;
    if record.lab.checks.is_empty() {
        let why = "its lab file has no `checks`";
        return Err(Error::input(format!("check the lab {}", record.lab.name), why));
    }
    let results = hold(&record, paths, reporter).await?;
    let code = u8::from(results.iter().any(|r| !r.passed));
    let text = match (args.json, args.junit) {
        (true, _) => as_json("checks", &serde_json::json!({"checks": results}))?,
        (_, true) => junit::xml(&record.lab.name, &results),
        _ => shown(&results, coloured),
    };
    Ok(Outcome { text, code })
}

/// Observes all nodes once and holds each expectation against what was seen.
pub async fn hold(record: &LabRecord, paths: &Paths, reporter: &Reporter) -> Result<Vec<Checked>> {
    let seen = observed::now(record, &nodes(record, &[])?, false, paths).await?;
    seen.failed.iter().for_each(|e| reporter.note(e.to_string()));
    let mut results = Vec::new();
    for check in &record.lab.checks {
        let begun = Instant::now();
        let findings = findings(check, record, &seen, paths).await;
        results.push(Checked {
            name: check.name.clone(),
            kind: check.expect.word(),
            passed: findings.iter().all(|f| f.passed),
            findings,
            hint: check.hint.clone(),
            millis: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
        });
    }
    Ok(results)
}

async fn findings(check: &Check, record: &LabRecord, seen: &Seen, paths: &Paths) -> Vec<Finding> {
    let on_each = |look: &dyn Fn(&crate::observe::Observation) -> Finding| {
        let one = |node: &String| match seen.nodes.iter().find(|o| o.node == *node) {
            Some(observation) => look(observation),
            None => Finding::failed(Some(node), "it was not observed"),
        };
        check.on.iter().map(one).collect::<Vec<_>>()
    };
    match &check.expect {
        Expect::Link { name, kind, mtu } => on_each(&|o| check::link(o, name, kind.as_deref(), *mtu)),
        Expect::Route(route) => on_each(&|o| check::route(o, route)),
        Expect::Chain { table, name } => on_each(&|o| check::chain(o, table, name)),
        Expect::Pods(pods) => match seen.cluster() {
            Ok(cluster) => vec![check::pods(cluster, pods)],
            Err(error) => vec![Finding::failed(None, error.to_string())],
        },
        Expect::Service { name, requests } => match service(name, *requests, record, seen, paths).await {
            Ok(finding) => vec![finding],
            Err(error) => vec![Finding::failed(None, error.to_string())],
        },
        Expect::Run { script, timeout } => scripts(&check.on, script, *timeout, record, paths).await,
    }
}

async fn service(name: &str, requests: u32, record: &LabRecord, seen: &Seen, paths: &Paths) -> Result<Finding> {
    let cluster = seen.cluster()?;
    let explained = explain::service(name, &seen.nodes, cluster, None)?;
    let counted = count_requests(record, name, requests, None, cluster, paths).await?;
    let failed = counted.sent.iter().map(|s| s.bad).sum();
    Ok(check::service(&explained, &counted.counted, failed))
}

async fn scripts(on: &[String], script: &str, timeout: u64, record: &LabRecord, paths: &Paths) -> Vec<Finding> {
    let mut findings = Vec::new();
    for node in on {
        let ran = script_on(node, script, timeout, record, paths).await;
        findings.push(ran.unwrap_or_else(|error| Finding::failed(Some(node), error.why)));
    }
    findings
}

/// Once: a check tells how it is, it does not wait until it is so.
async fn script_on(node: &str, script: &str, timeout: u64, record: &LabRecord, paths: &Paths) -> Result<Finding> {
    let running = running_in(record.clone(), node, paths).await?;
    let remote = running.login().await?;
    let facts = running.driver().facts();
    let script = template::render(script, &scope_of_node(&record.lab, node, facts));
    let script = script.map_err(|e| Error::failed("render the check", e))?;
    let limit = Duration::from_secs(timeout * facts.slowness);
    let Ok(ran) = tokio::time::timeout(limit, run_script(&remote, &script)).await else {
        return Ok(Finding::failed(Some(node), format!("it did not end within {} s", limit.as_secs())));
    };
    let (exit, out, err) = ran?;
    let mut printed = ui::harmless(&format!("{out}{err}"));
    if !exit.ok() {
        printed = format!("{}\n{}", printed.trim_end(), exit.in_words());
    }
    Ok(Finding::of_script(node, exit.ok(), printed.trim()))
}

/// Each check with its evidence, and how many hold.
pub fn shown(results: &[Checked], coloured: bool) -> String {
    let held = results.iter().filter(|r| r.passed).count();
    evidence(results, coloured) + &format!("{held} of {} checks hold\n", results.len())
}

/// Each check with its evidence.
pub fn evidence(results: &[Checked], coloured: bool) -> String {
    let mut out = String::new();
    for result in results {
        out += &format!("{}  {}\n", ui::verdict(result.passed, coloured), result.name);
        for finding in &result.findings {
            if let Some(node) = &finding.node {
                out += &format!("        {node}\n");
            }
            let indent = if finding.node.is_some() { "          " } else { "        " };
            finding.evidence.iter().for_each(|line| out += &format!("{indent}{line}\n"));
        }
        if let Some(hint) = result.hint.as_ref().filter(|_| !result.passed) {
            out += &format!("        hint: {hint}\n");
        }
    }
    out
}
