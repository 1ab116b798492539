//! `lab render STEP`: what exactly would run on the node, with secrets masked.

use super::choose::{self, Wanted};
use super::rendering::Rendering;
use super::which::Found;
use super::{images, which};
use crate::cli;
use crate::driver::Facts;
use crate::error::{Error, Result};
use crate::lab::model::{Action, Lab, Output, Probe, Step};
use crate::paths::Paths;
use crate::plan::{Known, plan};
use crate::state::record::LabRecord;
use std::collections::{BTreeMap, BTreeSet};

const MASK: &str = "********";

/// Every part of the step on every node.
pub async fn render(args: cli::Render, paths: &Paths) -> Result<String> {
    let Found { lab, file } = which::find_with(args.lab.as_deref(), &args.values, paths)?;
    let chosen = chosen(&lab, &args.step)?;
    if let Some(node) = args.node.as_deref().filter(|n| lab.node(n).is_none()) {
        let known: Vec<&str> = lab.nodes.iter().map(|n| n.name.as_str()).collect();
        let why = format!("the lab has no node `{node}`; it has {}", known.join(", "));
        return Err(which::near(Error::input(format!("render the step {}", args.step), why), node, known));
    }
    let image = images::Wanted::of(&lab.image, file.as_deref());
    let facts = facts(&lab, &args, &image, paths).await;
    let nothing = BTreeSet::new();
    let births = BTreeMap::new();
    let known = Known {
        facts: &facts,
        records: &[],
        running: &nothing,
        silent: &nothing,
        absent: &nothing,
        births: &births,
        lost_outputs: &nothing,
        now: 0,
    };
    let tasks = plan(&lab, &known);
    let dir = paths.lab(&lab.name);
    let rendering = Rendering { lab: &lab, facts: &facts, tasks: &tasks, dir: &dir, stand_in: &stand_in };
    let mut out = String::new();
    for index in chosen {
        let wanted = |node: &&String| args.node.as_ref().is_none_or(|only| only == *node);
        for node in lab.steps[index].on.iter().filter(wanted) {
            let (step, secrets) = rendering.step(index, node)?;
            let text = show(&step, lab.steps[index].action.verb(), node, facts.slowness);
            out += &secrets.iter().filter(|s| !s.is_empty()).fold(text, |t, secret| t.replace(secret.as_str(), MASK));
        }
    }
    if out.is_empty() {
        let node = args.node.unwrap_or_default();
        let why = format!("it does not run on {node}");
        return Err(Error::input(format!("render the step {}", args.step), why));
    }
    Ok(out)
}

/// The step of this name, or all parts of the composite step of this name.
fn chosen(lab: &Lab, name: &str) -> Result<Vec<usize>> {
    let inside = format!("{name}/");
    let hit = |s: &Step| s.name == name || s.name.starts_with(&inside);
    let found: Vec<usize> = lab.steps.iter().enumerate().filter(|(_, s)| hit(s)).map(|(i, _)| i).collect();
    if !found.is_empty() {
        return Ok(found);
    }
    let mut known: Vec<&str> = Vec::new();
    for step in &lab.steps {
        let first = step.name.split('/').next().unwrap_or_default();
        if !known.contains(&first) {
            known.push(first);
        }
    }
    let why = format!("the lab {} has no such step; it has {}", lab.name, known.join(", "));
    let all = known.iter().copied().chain(lab.steps.iter().map(|s| s.name.as_str()));
    Err(which::near(Error::input(format!("render the step {name}"), why), name, all))
}

/// What nodes are told of their driver: the lab's own where it exists, else the one that `up` would choose.
async fn facts(lab: &Lab, args: &cli::Render, image: &images::Wanted, paths: &Paths) -> Facts {
    let old = LabRecord::load(paths, &lab.name).ok().flatten().filter(|_| args.driver.is_none());
    let wanted = choose::wanted(args.driver, lab, old.as_ref()).unwrap_or(Wanted::Auto);
    let image = old.map(|old| old.image).or_else(|| images::cached(image, paths));
    choose::foretold(&wanted, image.as_ref(), paths).await
}

fn stand_in(step: &str, output: &Output) -> String {
    if output.secret { MASK.to_owned() } else { format!("<{} of {step}>", output.name) }
}

/// The step as text: comments say what is done, the rest is done literally.
fn show(step: &Step, verb: &str, node: &str, slowness: u64) -> String {
    let mut out = format!("### {} on {node}: {verb}\n", step.name);
    let mut part = |head: String, text: &str| {
        out += &format!("# {head}\n{text}");
        if !text.ends_with('\n') {
            out.push('\n');
        }
    };
    if let Some(unless) = &step.unless {
        part("already so, and skipped, when this succeeds".into(), unless);
    }
    if let Some(undo) = &step.undo {
        part("before a second try".into(), undo);
    }
    match &step.action {
        Action::Run { script } => {
            let head = format!("by bash as root, at most {} s", step.timeout * slowness);
            part(head, &format!("set -euo pipefail\n{script}"));
        }
        Action::File { path, content, mode, owner, .. } => {
            part(format!("{path}, mode {mode:04o}, owner {owner}"), content);
        }
        Action::Wait { probe } | Action::Check { probe } => part(until(probe, slowness), &probe.script),
        Action::Observe { name } => {
            part(format!("a capture of links, routes, neighbours and rules, kept as `{name}`"), "");
        }
    }
    if let Some(check) = &step.check {
        part(format!("done when {}", until(check, slowness)), &check.script);
    }
    for output in &step.outputs {
        let secret = if output.secret { ", secret" } else { "" };
        let lifetime = output.lifetime.map(|s| format!(", good for {s} s")).unwrap_or_default();
        out += &format!("# leaves $LAB_OUTPUTS/{}{secret}{lifetime}\n", output.name);
    }
    out + "\n"
}

fn until(probe: &Probe, slowness: u64) -> String {
    format!("{}: tried every {} s, at most {} s", probe.description, probe.every, probe.timeout * slowness)
}
