//! `lab validate`: the lab file, its templates, its image and its scripts, without touching anything.

use super::rendering::{Rendering, machine};
use super::{images, which};
use crate::cli;
use crate::error::{Error, Result};
use crate::executor::scope_of_node;
use crate::lab::check::Expect;
use crate::lab::model::{Action, Lab, Step};
use crate::paths::Paths;
use crate::template;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// All problems at once, or what the lab consists of.
pub fn validate(args: &cli::Validate, paths: &Paths) -> Result<String> {
    let found = which::find_with(args.which.lab.as_deref(), &args.values, paths)?;
    let lab = &found.lab;
    images::Wanted::of(&lab.image, found.file.as_deref()).recipe()?;
    let problems = scripts(lab);
    if !problems.is_empty() {
        let plural = if problems.len() == 1 { "script bash" } else { "scripts bash" };
        let why = format!("{} {plural} cannot read\n\n{}", problems.len(), problems.join("\n"));
        return Err(Error::input(format!("use the lab {}", lab.name), why).hint("`lab render STEP` shows the script"));
    }
    Ok(format!("{}: good, {} nodes, {} steps\n", lab.name, lab.nodes.len(), lab.steps.len()))
}

/// What bash says to the scripts of all steps, as rendered for the first node of each.
fn scripts(lab: &Lab) -> Vec<String> {
    let rendering =
        Rendering { lab, facts: &machine("qemu"), tasks: &[], dir: Path::new(""), stand_in: &|_, _| "1".to_owned() };
    let mut problems = Vec::new();
    for (index, step) in lab.steps.iter().enumerate() {
        let Some(node) = step.on.first() else { continue };
        // What cannot be rendered without its outputs is read when it runs.
        let Ok((step, _)) = rendering.step(index, node) else { continue };
        for (what, script) in texts(&step) {
            // A host without bash leaves this to the node.
            if let Some(why) = bash(script) {
                problems.push(format!("error: step `{}`, its {what}:\n{why}", step.name));
            }
        }
    }
    for check in &lab.checks {
        let (Expect::Run { script, .. }, Some(node)) = (&check.expect, check.on.first()) else { continue };
        let script = template::render(script, &scope_of_node(lab, node, rendering.facts));
        if let Some(why) = script.ok().and_then(|script| bash(&script)) {
            problems.push(format!("error: check `{}`, its script:\n{why}", check.name));
        }
    }
    problems
}

fn texts(step: &Step) -> Vec<(&'static str, &str)> {
    let mut all: Vec<(&str, &str)> = Vec::new();
    match &step.action {
        Action::Run { script } => all.push(("script", script)),
        Action::Wait { probe } | Action::Check { probe } => all.push(("probe", &probe.script)),
        Action::File { .. } | Action::Observe { .. } => {}
    }
    all.extend(step.check.as_ref().map(|p| ("check", p.script.as_str())));
    all.extend(step.unless.as_ref().map(|t| ("unless", t.as_str())));
    all.extend(step.undo.as_ref().map(|t| ("undo", t.as_str())));
    all
}

/// What bash says when it reads the script without running it; None when it can.
fn bash(script: &str) -> Option<String> {
    let mut child = Command::new("bash")
        .arg("-n")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .ok()?;
    // Bash may stop reading at the first error; what it says tells more than the broken pipe.
    let _ = child.stdin.take()?.write_all(script.as_bytes());
    let output = child.wait_with_output().ok()?;
    let said = String::from_utf8_lossy(&output.stderr).replace("bash: ", "  ");
    (!output.status.success()).then(|| said.trim_end().to_owned() + "\n")
}
