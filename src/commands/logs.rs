//! `lab logs`: what steps printed, and what nodes said on their consoles.

use super::{follow, which};
use crate::cli;
use crate::driver::console_log;
use crate::error::{Error, Result};
use crate::executor;
use crate::lab::model::Lab;
use crate::paths::Paths;
use crate::plan::task_id;
use crate::state::record::place;
use crate::ui::printable;
use std::io::Write;
use std::path::PathBuf;

/// A log and how its lines are told from others'.
pub struct Source {
    pub path: PathBuf,
    /// Before each line; empty where there is only one log.
    pub label: String,
    /// Lines begin with `out| ` or `err| `.
    pub marked: bool,
}

impl Source {
    /// A line of the log as it is shown.
    pub fn line(&self, line: &str) -> String {
        let text = match self.marked {
            true => line.strip_prefix("out| ").or_else(|| line.strip_prefix("err| ")).unwrap_or(line),
            false => line,
        };
        format!("{}{}\n", self.label, printable(text))
    }
}

/// Shows the logs that are meant; with `--follow` does not end by itself.
pub async fn logs(args: cli::Logs, paths: &Paths) -> Result<()> {
    let record = which::record(args.which.lab.as_deref(), paths)?;
    let lab = &record.lab;
    known("node", &args.node, lab.nodes.iter().map(|n| n.name.as_str()))?;
    let steps = lab.steps.iter().flat_map(|s| [s.name.as_str(), top(&s.name)]);
    known("step", &args.step, steps)?;
    let wanted = |node: &str| args.node.is_empty() || args.node.iter().any(|n| n == node);
    let sources = if args.console { consoles(lab, wanted, paths) } else { outputs(lab, &args.step, wanted, paths) };
    if args.follow {
        return follow::follow(&sources, args.lines).await;
    }
    let mut out = std::io::stdout().lock();
    let mut any = false;
    for source in &sources {
        let Ok(bytes) = std::fs::read(&source.path) else { continue };
        any = true;
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = text.lines().collect();
        let skip = args.lines.map_or(0, |n| lines.len().saturating_sub(n));
        for line in &lines[skip..] {
            if out.write_all(source.line(line).as_bytes()).is_err() {
                // A reader that closed the pipe has seen enough.
                return Ok(());
            }
        }
    }
    if any {
        return Ok(());
    }
    let hint = format!("`lab status {}` tells how far it is; `lab up {0}` goes on", lab.name);
    Err(Error::failed("show the logs", "nothing that you mean has run yet").hint(hint))
}

fn top(step: &str) -> &str {
    step.split('/').next().unwrap_or(step)
}

/// Names that the lab does not have are mistakes.
fn known<'a>(kind: &str, given: &[String], all: impl Iterator<Item = &'a str>) -> Result<()> {
    let all: Vec<&str> = all.collect();
    let Some(name) = given.iter().find(|name| !all.contains(&name.as_str())) else { return Ok(()) };
    let mut tops: Vec<&str> = all.iter().map(|n| top(n)).collect();
    tops.dedup();
    let error = Error::input(format!("find the {kind} {name}"), format!("the lab has {}", tops.join(", ")));
    Err(which::near(error, name, all.iter().copied()))
}

fn consoles(lab: &Lab, wanted: impl Fn(&str) -> bool, paths: &Paths) -> Vec<Source> {
    let nodes: Vec<&str> = lab.nodes.iter().map(|n| n.name.as_str()).filter(|n| wanted(n)).collect();
    let width = nodes.iter().map(|n| n.len()).max().unwrap_or(0);
    let label = |node: &str| if nodes.len() > 1 { format!("{node:<width$} | ") } else { String::new() };
    let source =
        |node: &&str| Source { path: console_log(&place(paths, &lab.name, node)), label: label(node), marked: false };
    nodes.iter().map(source).collect()
}

fn outputs(lab: &Lab, steps: &[String], wanted: impl Fn(&str) -> bool, paths: &Paths) -> Vec<Source> {
    let logs = paths.lab(&lab.name).join("logs");
    let meant = |name: &str| steps.is_empty() || steps.iter().any(|s| s == name || s == top(name));
    let mut all = Vec::new();
    for step in lab.steps.iter().filter(|s| meant(&s.name)) {
        for node in step.on.iter().filter(|n| wanted(n)) {
            let id = task_id(step, std::slice::from_ref(node));
            all.push((node.as_str(), step.name.as_str(), executor::log_path(&logs, &id)));
        }
    }
    let node_width = all.iter().map(|(node, ..)| node.len()).max().unwrap_or(0);
    let step_width = all.iter().map(|(_, step, _)| step.len()).max().unwrap_or(0);
    let label = |node: &str, step: &str| match all.len() {
        1 => String::new(),
        _ => format!("{node:<node_width$}  {step:<step_width$} | "),
    };
    all.iter().map(|(node, step, path)| Source { path: path.clone(), label: label(node, step), marked: true }).collect()
}
