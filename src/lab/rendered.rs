//! A step with every template in it rendered: what exactly runs on a node.

use super::model::{Action, Probe, Step};
use crate::template::{Scope, render};

/// The step with literal texts only.
///
/// # Errors
/// Why one of its templates cannot be rendered.
pub fn rendered(step: &Step, scope: &Scope) -> Result<Step, String> {
    let text = |text: &Option<String>| text.as_ref().map(|t| render(t, scope)).transpose();
    let action = match &step.action {
        Action::Run { script } => Action::Run { script: render(script, scope)? },
        Action::File { path, content, template: true, mode, owner } => Action::File {
            path: path.clone(),
            content: render(content, scope)?,
            template: false,
            mode: *mode,
            owner: owner.clone(),
        },
        Action::Wait { probe } => Action::Wait { probe: rendered_probe(probe, scope)? },
        Action::Check { probe } => Action::Check { probe: rendered_probe(probe, scope)? },
        other => other.clone(),
    };
    let check = step.check.as_ref().map(|p| rendered_probe(p, scope)).transpose()?;
    Ok(Step { action, unless: text(&step.unless)?, undo: text(&step.undo)?, check, ..step.clone() })
}

fn rendered_probe(probe: &Probe, scope: &Scope) -> Result<Probe, String> {
    let mut scope = scope.clone();
    scope.extend(probe.inputs.clone());
    Ok(Probe { script: render(&probe.script, &scope)?, ..probe.clone() })
}
