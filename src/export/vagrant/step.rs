//! One step on one node as a strict script, on top of the prelude.

use crate::lab::model::{Action, Probe, Step};
use crate::template::quote;
use std::fmt::Write;

/// Ends a text in a script; no line of a text may be it.
const MARK: &str = "LAB_TEXT";

/// A step's name as one word for files and shells.
pub(super) fn safe(name: &str) -> String {
    name.replace('/', "-")
}

/// The name of a step's file: they sort as they run.
pub(super) fn file(number: usize, name: &str, node: &str) -> String {
    format!("{number:03}-{}.{node}", safe(name))
}

/// The script. The step's own texts stand in it letter by letter.
pub(super) fn script(step: &Step, node: &str) -> String {
    let again = if step.outputs.is_empty() { "" } else { " again" };
    let mut out = format!("# {} on {node}: {}\nbegin {}{again}\n", step.name, step.action.verb(), safe(&step.name));
    for (what, script) in [("unless", &step.unless), ("undo", &step.undo)] {
        if let Some(script) = script {
            text(&mut out, what, script);
        }
    }
    match &step.action {
        Action::Run { script } => {
            text(&mut out, "script", script);
            let _ = writeln!(out, "act {}", step.timeout);
        }
        Action::File { path, content, mode, owner, .. } => {
            text(&mut out, "content", content);
            let _ = writeln!(out, "put {} {mode:04o} {}", quote(path), quote(owner));
        }
        Action::Wait { probe } | Action::Check { probe } => hold(&mut out, "probe", probe),
        // Taken of all nodes at once, by who runs the steps.
        Action::Observe { .. } => {}
    }
    if let Some(check) = &step.check {
        hold(&mut out, "check", check);
    }
    out + "finish\n"
}

fn hold(out: &mut String, what: &str, probe: &Probe) {
    text(out, what, &probe.script);
    let _ = writeln!(out, "hold {what} {} {} {}", probe.every, probe.timeout, quote(&probe.description));
}

/// Hands a text to the prelude.
fn text(out: &mut String, what: &str, text: &str) {
    here(out, &format!("text {what}"), text);
}

/// Gives a text to a command as its input.
pub(super) fn here(out: &mut String, command: &str, text: &str) {
    let mut mark = MARK.to_owned();
    while text.lines().any(|line| line == mark) {
        mark.push('_');
    }
    let _ = writeln!(out, "{command} <<'{mark}'");
    out.push_str(text);
    if text.ends_with('\n') || text.is_empty() {
        let _ = writeln!(out, "{mark}");
    } else {
        let _ = writeln!(out, "\n{mark}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_cannot_end_itself() {
        let mut out = String::new();
        text(&mut out, "script", "echo a\nLAB_TEXT\n");
        assert_eq!(out, "text script <<'LAB_TEXT_'\necho a\nLAB_TEXT\nLAB_TEXT_\n");
    }
}
