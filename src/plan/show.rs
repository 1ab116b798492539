//! A plan for people: what would run, after what, and why.

use super::{Task, TaskKind, Verdict};
use crate::lab::model::Lab;

/// One line per task, in order; what is done is marked, what runs says why.
pub fn show(lab: &Lab, tasks: &[Task]) -> String {
    let mut out = format!("{}: {}\n", lab.name, lab.title);
    for task in tasks {
        let mark = if task.verdict == Verdict::Done { "=" } else { "+" };
        let verb = match &task.kind {
            TaskKind::Boot { .. } => "boot",
            TaskKind::Step { index, .. } => lab.steps.get(*index).map_or("", |s| s.action.verb()),
        };
        let why = match &task.verdict {
            Verdict::Done => "done".to_owned(),
            Verdict::Run { why } => why.clone(),
        };
        let after: Vec<&str> = task.needs.iter().map(String::as_str).collect();
        let after = if after.is_empty() { String::new() } else { format!("  after {}", after.join(", ")) };
        out += &format!("  {mark} {:<9} {:<38} {why}{after}\n", verb, task.id);
    }
    let runs = tasks.iter().filter(|t| t.verdict != Verdict::Done).count();
    out += &format!("{runs} of {} tasks would run (+), {} are done (=)\n", tasks.len(), tasks.len() - runs);
    out
}
