//! A plan for programs.

use super::{Task, TaskKind, Verdict};
use crate::lab::model::Lab;
use serde_json::{Value as Json, json};

/// The plan as data.
pub fn json(lab: &Lab, tasks: &[Task]) -> Json {
    let task = |task: &Task| {
        let (verb, nodes) = match &task.kind {
            TaskKind::Boot { node } => ("boot", vec![node.clone()]),
            TaskKind::Step { index, nodes } => (lab.steps.get(*index).map_or("", |s| s.action.verb()), nodes.clone()),
        };
        let why = match &task.verdict {
            Verdict::Done => None,
            Verdict::Run { why } => Some(why),
        };
        json!({"id": task.id, "verb": verb, "nodes": nodes, "needs": task.needs, "runs": why.is_some(), "why": why})
    };
    json!({"lab": lab.name, "title": lab.title, "tasks": tasks.iter().map(task).collect::<Vec<_>>()})
}
