//! One plain step: its action, probes and files, with every template in them tried out.

use super::expand::{Expander, Frame};
use super::file::{At, Text};
use super::model::{Action, Output, Probe, Step};
use super::step_file::{ActionFile, FileFile, ProbeBody, ProbeFile, StepFile, named_probe};
use super::templates::Stand;
use super::types::{identifier_problem, name_problem, seconds};
use crate::yaml::{Problem, Problems, closest, parse};
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// Seconds that a step may take where it does not say.
const TIMEOUT: u64 = 300;

/// A step that is being read: its place in the lab.
pub(super) struct Here<'a> {
    pub step: &'a StepFile,
    pub frame: &'a Frame,
    /// Unique in the lab.
    pub name: String,
    pub on: Vec<String>,
    pub needs: Vec<String>,
}

impl Expander<'_> {
    /// Reads a step that is not composite.
    pub(super) fn plain(&mut self, here: Here, problems: &mut Problems) {
        let (step, frame) = (here.step, here.frame);
        surplus(step, problems);
        let Some(action) = self.action(&here, problems) else { return };
        let check = step.check.as_ref().and_then(|p| self.probe(p, &here, problems));
        for script in step.unless.iter().chain(&step.undo) {
            self.check(script, &frame.inputs, &here, problems);
        }
        let text = |text: &Option<Text>| text.as_ref().map(|t| t.value.clone());
        let outputs = step.outputs.iter().map(|o| Output {
            name: o.name.value.clone(),
            secret: o.secret,
            lifetime: o.lifetime.as_ref().map(|_| duration(&o.lifetime, 0, problems)),
        });
        let outputs: Vec<Output> = outputs.collect();
        for output in &step.outputs {
            if let Some(why) = identifier_problem(&output.name.value) {
                problems.add(Problem::new(output.name.span, why));
            }
        }
        let timeout = duration(&step.timeout, TIMEOUT, problems);
        let hint = step.hint.as_ref().map(|t| self.shown(t, &frame.inputs, problems));
        let action = with_own_limits(action, step.timeout.as_ref().map(|_| timeout), hint.as_ref());
        let (unless, undo, inputs) = (text(&step.unless), text(&step.undo), frame.inputs.clone());
        let Here { name, on, needs, .. } = here;
        self.steps.push(Step { name, on, needs, action, inputs, unless, undo, check, outputs, timeout, hint });
    }

    fn action(&mut self, here: &Here, problems: &mut Problems) -> Option<Action> {
        Some(match &here.step.action {
            ActionFile::Run(script) => {
                self.check(script, &here.frame.inputs, here, problems);
                Action::Run { script: script.value.clone() }
            }
            ActionFile::Upload(file) => self.file(file, false, here, problems)?,
            ActionFile::Template(file) => self.file(file, true, here, problems)?,
            ActionFile::Wait(probe) => Action::Wait { probe: self.probe(probe, here, problems)? },
            ActionFile::Check(probe) => Action::Check { probe: self.probe(probe, here, problems)? },
            ActionFile::Observe(name) => {
                if let Some(message) = name_problem(&name.value) {
                    problems.add(Problem::new(name.span, message));
                }
                let same = |s: &Step| matches!(&s.action, Action::Observe { name: other } if *other == name.value);
                if self.steps.iter().any(same) {
                    let message = format!("a second observation named `{}` would replace the first", name.value);
                    problems.add(Problem::new(name.span, message));
                }
                Action::Observe { name: name.value.clone() }
            }
            // Opened up by the caller; a composite step is never a plain one.
            ActionFile::Uses(_) => return None,
        })
    }

    fn file(&mut self, file: &FileFile, template: bool, here: &Here, problems: &mut Problems) -> Option<Action> {
        let path = self.early(&file.to, here.frame, problems);
        if !path.starts_with('/') || path.split('/').any(|part| part == "..") || path.contains(char::is_control) {
            problems.add(Problem::new(file.to.span, format!("`{path}` is no absolute path on a node")));
        }
        let content = match (&file.content, &file.from) {
            (Some(content), _) => {
                if template {
                    self.check(content, &here.frame.inputs, here, problems);
                }
                content.value.clone()
            }
            (None, Some(from)) => self.content(from, template, here, problems)?,
            (None, None) => return None,
        };
        let mode = match &file.mode {
            None => 0o644,
            Some(text) => u32::from_str_radix(&text.value, 8).ok().filter(|m| *m <= 0o7777).unwrap_or_else(|| {
                problems.add(Problem::new(text.span, format!("`{}` is no mode like 0600", text.value)));
                0
            }),
        };
        let owner = file.owner.as_ref().map_or("root:root".to_owned(), |o| o.value.clone());
        if let Some(text) = file.owner.as_ref().filter(|o| !o.value.splitn(2, ':').all(is_user)) {
            problems.add(Problem::new(text.span, format!("`{}` is no owner like root:root", text.value)));
        }
        Some(Action::File { path, content, template, mode, owner })
    }

    /// The text of a file beside the templates; what is wrong in it is shown there.
    fn content(&mut self, from: &Text, template: bool, here: &Here, problems: &mut Problems) -> Option<String> {
        let Some((shown, text)) = self.library.find(&from.value) else {
            let mut problem = Problem::new(from.span, format!("there is no file `{}` in templates/", from.value));
            let all = self.library.names("", "");
            if let Some(near) = closest(&from.value, all.iter().map(String::as_str)) {
                problem = problem.help(format!("did you mean `{near}`?"));
            }
            problems.add(problem);
            return None;
        };
        if template {
            let mut theirs = Problems::default();
            self.stand(&here.frame.inputs, here).check(&text, from.span, true, &mut theirs);
            self.findings.take(theirs, &shown, &text);
        }
        Some(text)
    }

    fn probe(&mut self, probe: &ProbeFile, here: &Here, problems: &mut Problems) -> Option<Probe> {
        let (name, with) = match probe {
            ProbeFile::Inline(body) => {
                let name = body.description.value.clone();
                return Some(self.probe_body(name, body, here.frame.inputs.clone(), here, problems));
            }
            ProbeFile::Named { name, with } => (name, with),
        };
        let Some((shown, source)) = self.library.find(&format!("probes/{}.yaml", name.value)) else {
            let known = self.library.names("probes/", ".yaml");
            let mut problem = Problem::new(name.span, format!("there is no probe `{}`", name.value));
            if !known.is_empty() {
                problem =
                    problem.help(super::templates::meant(&name.value, known.iter().map(String::as_str), "Probes"));
            }
            problems.add(problem);
            return None;
        };
        let mut inner = Problems::default();
        let decoded = match parse(&source) {
            Ok(tree) => named_probe(&tree, &mut inner),
            Err(problem) => {
                inner.add(problem);
                None
            }
        };
        let made = decoded.map(|decoded| {
            let given = self.given(&decoded.inputs, with, here.frame, problems);
            let inputs = self.typed(&decoded.inputs, &given, name.span, problems, &mut inner);
            self.probe_body(name.value.clone(), &decoded.body, inputs, here, &mut inner)
        });
        self.findings.take(inner, &shown, &source);
        made
    }

    fn probe_body(
        &self,
        name: String,
        body: &ProbeBody,
        inputs: BTreeMap<String, Json>,
        here: &Here,
        problems: &mut Problems,
    ) -> Probe {
        self.check(&body.run, &inputs, here, problems);
        Probe {
            name,
            description: self.shown(&body.description, &inputs, problems),
            hint: body.hint.as_ref().map(|h| self.shown(h, &inputs, problems)),
            script: body.run.value.clone(),
            every: duration(&body.every, 2, problems),
            timeout: duration(&body.timeout, 120, problems),
            inputs,
        }
    }

    fn check(&self, text: &Text, inputs: &BTreeMap<String, Json>, here: &Here, problems: &mut Problems) {
        self.stand(inputs, here).check(&text.value, text.span, false, problems);
    }

    fn stand<'a>(&'a self, inputs: &'a BTreeMap<String, Json>, here: &'a Here) -> Stand<'a> {
        Stand { lab: self.lab, step: &here.name, on: &here.on, inputs, before: &self.steps }
    }
}

/// What stands beside an action that has no use for it would be ignored in silence: each is a problem.
pub(super) fn surplus(step: &StepFile, problems: &mut Problems) {
    let verb = step.action.word();
    let span = |text: &Option<Text>| text.as_ref().map(|t| t.span);
    let script = ["run"].as_slice();
    let lasting = ["run", "wait", "check"].as_slice();
    let proved = ["run", "upload", "template", "wait"].as_slice();
    let with = step.with.first().map(|(name, _)| name.span);
    let outputs = step.outputs.first().map(|o| o.name.span);
    let check = step.check.as_ref().map(ProbeFile::span);
    for (key, at, goes_with) in [
        ("with", with, ["uses"].as_slice()),
        ("unless", span(&step.unless), script),
        ("undo", span(&step.undo), script),
        ("outputs", outputs, script),
        ("timeout", span(&step.timeout), lasting),
        ("hint", span(&step.hint), lasting),
        ("check", check, proved),
    ] {
        let Some(at) = at.filter(|_| !goes_with.contains(&verb)) else { continue };
        let message = format!("`{key}` goes with {}, not with `{verb}`", quoted(goes_with));
        let mut problem = Problem::new(at, message);
        if verb == "uses" {
            problem = problem.help("write it in the steps of the composite step");
        }
        problems.add(problem);
    }
}

/// Whether a word can name a user or a group.
fn is_user(word: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    !word.is_empty() && !word.starts_with('-') && word.chars().all(good)
}

fn quoted(words: &[&str]) -> String {
    words.iter().map(|w| format!("`{w}`")).collect::<Vec<_>>().join(", ")
}

/// A step's own `timeout` and `hint` win over those of the probe that it waits for.
fn with_own_limits(action: Action, timeout: Option<u64>, hint: Option<&String>) -> Action {
    let own = |probe: Probe| Probe {
        timeout: timeout.unwrap_or(probe.timeout),
        hint: hint.cloned().or(probe.hint.clone()),
        ..probe
    };
    match action {
        Action::Wait { probe } => Action::Wait { probe: own(probe) },
        Action::Check { probe } => Action::Check { probe: own(probe) },
        other => other,
    }
}

fn duration(text: &Option<Text>, default: u64, problems: &mut Problems) -> u64 {
    let Some(At { value, span }) = text else { return default };
    seconds(value).unwrap_or_else(|why| {
        problems.add(Problem::new(*span, why));
        default
    })
}
