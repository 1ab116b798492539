//! `lab doctor`: what is wrong with this host, and the command that mends it.

use super::host::{Finding, Weight, look};
use super::leftovers::{self, Leftover};
use super::{Outcome, which};
use crate::cli;
use crate::error::Result;
use crate::paths::Paths;
use serde::Serialize;

/// What the verb reports.
#[derive(Serialize)]
struct Report {
    findings: Vec<Finding>,
    /// What `--fix` has mended.
    mended: Vec<String>,
}

/// Looks at the host and says what it found. Exit code 3 when something keeps labs from working.
pub async fn doctor(args: cli::Doctor, paths: &Paths) -> Result<Outcome> {
    let nodes = match &args.which.lab {
        Some(lab) => which::find(Some(lab), &[], paths)?.lab.nodes,
        None => Vec::new(),
    };
    let mut report = Report { findings: look(&nodes, paths).await, mended: Vec::new() };
    if args.fix {
        report.findings.retain(|finding| {
            let mended = finding.mend.as_deref().is_some_and(|command| is_ours_to_run(command) && done(command));
            if mended {
                report.mended.push(finding.mend.clone().unwrap_or_default());
            }
            !mended
        });
    }
    for left in leftovers::find(paths).await {
        if args.fix && left.remove(paths).await {
            report.mended.push(left.says().to_owned());
        } else {
            report.findings.push(finding(&left));
        }
    }
    if report.findings.iter().all(|f| f.check != LEFTOVERS) {
        let says = "nothing of labs that are gone".to_owned();
        report.findings.push(Finding { check: LEFTOVERS, weight: Weight::Good, says, mend: None });
    }
    let bad = report.findings.iter().any(|f| f.weight == Weight::Bad);
    let text = if args.json { super::observe::as_json("doctor", &report)? } else { show(&report, args.fix) };
    Ok(Outcome { text, code: if bad { 3 } else { 0 } })
}

const LEFTOVERS: &str = "leftovers";

/// Whether a command changes no more than a mode of the user's own files.
fn is_ours_to_run(command: &str) -> bool {
    command.starts_with("chmod ")
}

fn done(command: &str) -> bool {
    std::process::Command::new("sh").args(["-c", command]).status().is_ok_and(|status| status.success())
}

fn finding(left: &Leftover) -> Finding {
    Finding { check: LEFTOVERS, weight: Weight::Note, says: left.says().to_owned(), mend: Some(left.mend()) }
}

fn show(report: &Report, fix: bool) -> String {
    let mut out = String::new();
    for finding in &report.findings {
        let word = match finding.weight {
            Weight::Good => "good",
            Weight::Note => "note",
            Weight::Bad => "BAD",
        };
        let says = finding.says.trim_end().replace('\n', &format!("\n{:28}", ""));
        out += &format!("{word:<6}{:<22}{says}\n", finding.check);
        if let Some(mend) = &finding.mend {
            out += &format!("{:28}{}\n", "", mend.replace('\n', &format!("\n{:28}", "")));
        }
    }
    for mended in &report.mended {
        out += &format!("{:<6}{:<22}{mended}\n", "done", "mended");
    }
    let open = report.findings.iter().filter(|f| f.mend.is_some() && f.weight != Weight::Good).count();
    match (open, fix) {
        (0, _) => {}
        (_, true) => out += "\nthe commands that are left need your consent: run them yourself\n",
        (_, false) => {
            out += "\n`lab doctor --fix` removes leftovers and mends modes; the other commands are yours to run\n"
        }
    }
    out
}
