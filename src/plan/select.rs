//! A part of a plan: up to a step, from a step on, on some nodes only.

use super::{Task, TaskKind, Verdict, boot_id};
use crate::error::{Error, Result};
use crate::lab::model::{Action, Lab};
use crate::yaml::closest;
use std::collections::{BTreeMap, BTreeSet};

/// What of a plan is meant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// The last step; a composite step's name means all its parts.
    pub to: Option<String>,
    /// The first step that runs also when it is done, and all after it.
    pub from: Option<String>,
    /// Nodes; empty for all. What their steps need on other nodes is kept.
    pub only: Vec<String>,
    /// No step of this number or a higher one: the end of a chapter.
    pub end: Option<usize>,
}

/// Whether the lab has what is named: told before anything is made for it.
///
/// # Errors
/// It has no such step or node.
pub fn check(lab: &Lab, wish: &Selection) -> Result<()> {
    for step in wish.from.iter().chain(&wish.to) {
        range(lab, step)?;
    }
    wish.only.iter().try_for_each(|node| known(node, "node", lab.nodes.iter().map(|n| n.name.as_str())))
}

/// The tasks that are meant, with needs among themselves only.
///
/// # Errors
/// The lab has no such step or node.
pub fn select(lab: &Lab, mut tasks: Vec<Task>, wish: &Selection) -> Result<Vec<Task>> {
    check(lab, wish)?;
    if let Some(from) = &wish.from {
        let (first, _) = range(lab, from)?;
        for task in &mut tasks {
            if matches!(task.kind, TaskKind::Step { index, .. } if index >= first) && task.verdict == Verdict::Done {
                task.verdict = Verdict::Run { why: format!("--from {from}") };
                task.resumable = false;
            }
        }
    }
    if let Some(to) = &wish.to {
        let (_, last) = range(lab, to)?;
        tasks.retain(|t| !matches!(t.kind, TaskKind::Step { index, .. } if index > last));
    }
    if let Some(end) = wish.end {
        tasks.retain(|t| !matches!(t.kind, TaskKind::Step { index, .. } if index >= end));
    }
    if !wish.only.is_empty() {
        tasks = of_nodes(lab, tasks, &wish.only);
    }
    let kept: BTreeSet<String> = tasks.iter().map(|t| t.id.clone()).collect();
    for task in &mut tasks {
        task.needs.retain(|n| kept.contains(n));
    }
    Ok(tasks)
}

/// The first and last index of a step or of a composite step's parts.
fn range(lab: &Lab, name: &str) -> Result<(usize, usize)> {
    let inside = format!("{name}/");
    let observes = |action: &Action| matches!(action, Action::Observe { name: n } if n == name);
    let meant = |(_, s): &(usize, &crate::lab::model::Step)| {
        s.name == name || s.name.starts_with(&inside) || observes(&s.action)
    };
    let mut found = lab.steps.iter().enumerate().filter(meant).map(|(i, _)| i);
    match (found.next(), found.next_back()) {
        (Some(first), last) => Ok((first, last.unwrap_or(first))),
        (None, _) => {
            let tops = lab.steps.iter().map(|s| match &s.action {
                Action::Observe { name } => name.as_str(),
                _ => s.name.split('/').next().unwrap_or(&s.name),
            });
            known(name, "step", tops).map(|()| (0, 0))
        }
    }
}

fn known<'a>(name: &str, kind: &str, all: impl Iterator<Item = &'a str>) -> Result<()> {
    let mut names: Vec<&str> = Vec::new();
    for each in all {
        if !names.contains(&each) {
            names.push(each);
        }
    }
    if names.contains(&name) {
        return Ok(());
    }
    let error = Error::input(format!("find the {kind} {name}"), format!("the lab has {}", names.join(", ")));
    Err(match closest(name, names.iter().copied()) {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None => error,
    })
}

/// The tasks of these nodes and all that they need. An observation of more nodes than these is left out: half of one
/// would pass for the whole. What it waited for on these nodes is waited for in its place.
fn of_nodes(lab: &Lab, tasks: Vec<Task>, only: &[String]) -> Vec<Task> {
    let inside = |nodes: &[String]| nodes.iter().all(|n| only.contains(n));
    let observes = |index: usize| matches!(lab.steps.get(index).map(|s| &s.action), Some(Action::Observe { .. }));
    let skipped =
        |task: &Task| matches!(&task.kind, TaskKind::Step { index, nodes } if observes(*index) && !inside(nodes));
    let by_id: BTreeMap<&str, &Task> = tasks.iter().map(|t| (t.id.as_str(), t)).collect();
    let own = |task: &Task| match &task.kind {
        TaskKind::Boot { node } => only.contains(node),
        TaskKind::Step { nodes, .. } => inside(nodes),
    };
    // What a need stands for: itself, or what stands behind a skipped one on these nodes.
    let mut needs: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for task in &tasks {
        let mut all = BTreeSet::new();
        for need in &task.needs {
            match by_id.get(need.as_str()) {
                Some(t) if skipped(t) => {
                    let behind = needs.get(t.id.as_str()).into_iter().flatten();
                    all.extend(behind.filter(|n| by_id.get(n.as_str()).is_some_and(|t| own(t))).cloned());
                }
                _ => {
                    all.insert(need.clone());
                }
            }
        }
        needs.insert(&task.id, all);
    }
    let mut wanted: Vec<String> = tasks.iter().filter(|t| own(t) && !skipped(t)).map(|t| t.id.clone()).collect();
    let mut kept: BTreeSet<String> = BTreeSet::new();
    while let Some(id) = wanted.pop() {
        let Some(task) = by_id.get(id.as_str()) else { continue };
        if kept.insert(id.clone()) {
            wanted.extend(needs.get(id.as_str()).into_iter().flatten().cloned());
            if let TaskKind::Step { nodes, .. } = &task.kind {
                wanted.extend(nodes.iter().map(|n| boot_id(n)));
            }
        }
    }
    let needs: BTreeMap<String, BTreeSet<String>> = needs.into_iter().map(|(k, v)| (k.to_owned(), v)).collect();
    let with = |mut task: Task| {
        task.needs = needs.get(&task.id).cloned().unwrap_or_default();
        task
    };
    tasks.into_iter().filter(|t| kept.contains(&t.id)).map(with).collect()
}

#[cfg(test)]
#[path = "select_tests.rs"]
mod tests;
