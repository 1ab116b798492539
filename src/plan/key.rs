//! What a step would do, as a digest that is known before anything runs.

use crate::driver::Facts;
use crate::lab::model::{Action, Lab, Step};
use crate::template;
use std::collections::BTreeSet;

/// Every text of a step that is a template.
fn texts(step: &Step) -> Vec<&str> {
    let mut all: Vec<&str> = step.unless.iter().chain(&step.undo).map(String::as_str).collect();
    all.extend(step.check.iter().map(|p| p.script.as_str()));
    match &step.action {
        Action::Run { script } => all.push(script),
        Action::File { content, template: true, .. } => all.push(content),
        Action::Wait { probe } | Action::Check { probe } => all.push(&probe.script),
        Action::File { .. } | Action::Observe { .. } => {}
    }
    all
}

/// The dotted names that the step's templates use.
fn names(step: &Step) -> BTreeSet<String> {
    texts(step).into_iter().filter_map(|t| template::names(t).ok()).flatten().collect()
}

/// The names of steps whose outputs this one reads: `outputs.token.value` in a part of a composite step is its
/// sibling's, at the top it is that step's.
pub fn producers(step: &Step, before: &[Step]) -> Vec<String> {
    let prefix = step.name.rsplit_once('/').map_or(String::new(), |(p, _)| format!("{p}/"));
    let used: BTreeSet<String> = names(step)
        .iter()
        .filter_map(|name| name.strip_prefix("outputs.")?.split('.').next().map(str::to_owned))
        .collect();
    let full = used.into_iter().map(|name| format!("{prefix}{name}"));
    full.filter(|name| before.iter().any(|s| s.name == *name)).collect()
}

/// The key: what the step says, the values it uses, and the keys of the steps whose outputs it reads.
pub fn of<'a>(step: &Step, lab: &Lab, facts: &Facts, producers: impl Iterator<Item = &'a String>) -> String {
    let mut hasher = blake3::Hasher::new();
    let mut feed = |text: &str| {
        hasher.update(&(text.len() as u64).to_le_bytes()).update(text.as_bytes());
    };
    // The derived form of the action changes only with the program; then running again is right.
    feed(&format!("{:?} {:?} {:?} {:?}", step.action, step.unless, step.undo, step.check));
    feed(&format!("{:?} {:?}", step.on, step.outputs));
    let names = names(step);
    let roots: BTreeSet<&str> = names.iter().filter_map(|n| n.split('.').next()).collect();
    for root in roots {
        let value = match (step.inputs.get(root), lab.values.get(root), root) {
            (Some(value), _, _) | (None, Some(value), _) => value.to_string(),
            (None, None, "node" | "nodes" | "lab") => {
                format!("{:?}", lab.nodes.iter().map(|n| (&n.name, n.address())).collect::<Vec<_>>())
            }
            // What people are told, as a version, is no reason to run anything again.
            (None, None, "driver") => format!("{:?}", Facts { description: String::new(), ..facts.clone() }),
            _ => String::new(),
        };
        feed(root);
        feed(&value);
    }
    producers.for_each(|key| feed(key));
    hasher.finalize().to_hex()[..16].to_owned()
}
