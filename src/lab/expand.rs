//! Steps of a lab: composite steps opened up, probes looked up, templates checked against what they may name.

use super::file::{At, Declared, Text};
use super::model::{Action, Lab, Output, Probe, Step};
use super::resolve::{Findings, typed};
use super::step_file::{ActionFile, FileFile, ProbeBody, ProbeFile, StepFile, composite, named_probe};
use super::types::seconds;
use crate::template::{self, Scope};
use crate::yaml::{Problem, Problems, Span, closest, parse};
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};

/// Composite steps within composite steps; deeper is a step that uses itself.
const MAX_DEPTH: usize = 8;
/// Seconds that a step may take where it does not say.
const TIMEOUT: u64 = 300;
/// What every template may name beside values and inputs.
const ALWAYS: [&str; 5] = ["node", "nodes", "lab", "driver", "outputs"];

type Library<'a> = &'a dyn Fn(&str) -> Option<(String, String)>;

/// Opens up all steps of a lab, in order.
pub(super) fn expand(
    steps: &[StepFile],
    lab: &Lab,
    library: Library,
    problems: &mut Problems,
    findings: &mut Findings,
) -> Vec<Step> {
    let scope = Frame { prefix: String::new(), inputs: BTreeMap::new(), on: Vec::new(), needs: Vec::new(), depth: 0 };
    let mut expander = Expander { lab, library, findings, steps: Vec::new() };
    expander.list(steps, &scope, problems);
    expander.steps
}

/// What a list of steps stands in: the lab itself, or a composite step.
struct Frame {
    prefix: String,
    inputs: BTreeMap<String, Json>,
    on: Vec<String>,
    needs: Vec<String>,
    depth: usize,
}

struct Expander<'a> {
    lab: &'a Lab,
    library: Library<'a>,
    findings: &'a mut Findings,
    steps: Vec<Step>,
}

impl Expander<'_> {
    fn list(&mut self, steps: &[StepFile], frame: &Frame, problems: &mut Problems) {
        let mut before: BTreeSet<String> = BTreeSet::new();
        for step in steps {
            let name = self.name(step, frame, problems);
            let mut needs = frame.needs.clone();
            for need in &step.needs {
                if before.contains(&need.value) {
                    needs.push(format!("{}{}", frame.prefix, need.value));
                } else {
                    let near = closest(&need.value, before.iter().map(String::as_str));
                    let help =
                        near.map_or("a step can need those above it".to_owned(), |n| format!("did you mean `{n}`?"));
                    problems.add(Problem::new(need.span, format!("no step `{}` above", need.value)).help(help));
                }
            }
            if !before.insert(name.value.clone()) {
                problems.add(Problem::new(name.span, format!("a second step named `{}`", name.value)));
            }
            let on = self.nodes(step, frame, problems);
            let full = format!("{}{}", frame.prefix, name.value);
            match &step.action {
                ActionFile::Uses(path) => self.composite(path, step, full, on, needs, frame, problems),
                _ => self.plain(step, full, on, needs, frame, problems),
            }
        }
    }

    fn name(&self, step: &StepFile, frame: &Frame, problems: &mut Problems) -> Text {
        if let Some(name) = &step.name {
            let fine = name.value.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
            if !fine || name.value.is_empty() || name.value.len() > 40 {
                problems.add(Problem::new(name.span, "a step's name has letters, digits, `-` and `_`, at most 40"));
            }
            return name.clone();
        }
        let (word, span) = match &step.action {
            ActionFile::Observe(name) => (name.value.clone(), name.span),
            ActionFile::Wait(ProbeFile::Named { name, .. }) | ActionFile::Check(ProbeFile::Named { name, .. }) => {
                (name.value.clone(), name.span)
            }
            _ => (format!("step-{}", self.steps.len() + 1), step.span),
        };
        let _ = frame;
        At { value: word.rsplit('/').next().unwrap_or_default().to_owned(), span }
    }

    fn nodes(&self, step: &StepFile, frame: &Frame, problems: &mut Problems) -> Vec<String> {
        let mut named: Vec<String> = Vec::new();
        for text in &step.on {
            let rendered = self.early(text, frame, problems);
            for word in rendered.split(',').map(str::trim).filter(|w| !w.is_empty()) {
                if self.lab.node(word).is_none() {
                    let known: Vec<&str> = self.lab.nodes.iter().map(|n| n.name.as_str()).collect();
                    let help = match closest(word, known.iter().copied()) {
                        Some(near) => format!("did you mean `{near}`? Nodes: {}", known.join(", ")),
                        None => format!("nodes: {}", known.join(", ")),
                    };
                    problems.add(Problem::new(text.span, format!("no node `{word}` in this lab")).help(help));
                }
                named.push(word.to_owned());
            }
        }
        let all = |node: &str| named.is_empty() || named.iter().any(|n| n == node);
        let inherited = |node: &str| step.on.is_empty() && !frame.on.is_empty() && !frame.on.iter().any(|n| n == node);
        let nodes = self.lab.nodes.iter().map(|n| n.name.clone());
        nodes.filter(|n| all(n) && !inherited(n)).collect()
    }

    /// Renders a text that must be known while resolving: only values and inputs can be named.
    fn early(&self, text: &Text, frame: &Frame, problems: &mut Problems) -> String {
        self.known(text, &frame.inputs, problems)
    }

    /// Renders a text by the lab's values and these inputs alone.
    fn known(&self, text: &Text, inputs: &BTreeMap<String, Json>, problems: &mut Problems) -> String {
        let mut scope: Scope = self.lab.values.clone().into_iter().collect();
        scope.extend(inputs.clone());
        template::render(&text.value, &scope).unwrap_or_else(|why| {
            problems.add(Problem::new(text.span, why));
            String::new()
        })
    }

    #[expect(clippy::too_many_arguments, reason = "one call site; a struct would only rename the same seven things")]
    fn composite(
        &mut self,
        path: &Text,
        step: &StepFile,
        name: String,
        on: Vec<String>,
        needs: Vec<String>,
        frame: &Frame,
        problems: &mut Problems,
    ) {
        if frame.depth >= MAX_DEPTH {
            problems.add(Problem::new(
                path.span,
                format!("composite steps nest deeper than {MAX_DEPTH}: does it use itself?"),
            ));
            return;
        }
        let file = format!("{}.yaml", path.value);
        let Some((shown, source)) = safe_path(&file).then(|| (self.library)(&file)).flatten() else {
            problems.add(Problem::new(path.span, format!("there is no composite step `{}`", path.value)));
            return;
        };
        let mut inner = Problems::default();
        let decoded = match parse(&source) {
            Ok(tree) => composite(&tree, &mut inner),
            Err(problem) => {
                inner.add(problem);
                None
            }
        };
        if let Some(decoded) = decoded {
            let inputs = self.inputs(&decoded.inputs, &step.with, path.span, frame, problems);
            let prefix = format!("{name}/");
            let inside = Frame { prefix, inputs, on, needs, depth: frame.depth + 1 };
            self.list(&decoded.steps, &inside, &mut inner);
        }
        self.findings.take(inner, &shown, &source);
    }

    /// The declared inputs with what `with` gives them.
    fn inputs(
        &self,
        declared: &[Declared],
        with: &[(Text, Text)],
        span: Span,
        frame: &Frame,
        problems: &mut Problems,
    ) -> BTreeMap<String, Json> {
        for (name, _) in with {
            if !declared.iter().any(|d| d.name.value == name.value) {
                let known: Vec<&str> = declared.iter().map(|d| d.name.value.as_str()).collect();
                let help = match closest(&name.value, known.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`? Inputs: {}", known.join(", ")),
                    None => format!("inputs: {}", known.join(", ")),
                };
                problems.add(Problem::new(name.span, format!("unknown input `{}`", name.value)).help(help));
            }
        }
        let given: Vec<(Text, Text)> =
            with.iter().map(|(k, v)| (k.clone(), At { value: self.early(v, frame, problems), span: v.span })).collect();
        let nodes: Vec<&str> = self.lab.nodes.iter().map(|n| n.name.as_str()).collect();
        typed(declared, &given, &nodes, span, problems)
    }

    fn plain(
        &mut self,
        step: &StepFile,
        name: String,
        on: Vec<String>,
        needs: Vec<String>,
        frame: &Frame,
        problems: &mut Problems,
    ) {
        if !step.with.is_empty() {
            problems.add(Problem::new(step.span, "`with` goes with `uses`"));
        }
        let Some(action) = self.action(step, frame, problems) else { return };
        let check = step.check.as_ref().and_then(|p| self.probe(p, frame, problems));
        let script = |text: &Option<Text>, problems: &mut Problems| {
            text.as_ref().map(|t| {
                self.check_names(t, &frame.inputs, problems);
                t.value.clone()
            })
        };
        let unless = script(&step.unless, problems);
        let undo = script(&step.undo, problems);
        let timeout = duration(&step.timeout, TIMEOUT, problems);
        let outputs = step.outputs.iter().map(|o| Output {
            name: o.name.value.clone(),
            secret: o.secret,
            lifetime: o.lifetime.as_ref().map(|_| duration(&o.lifetime, 0, problems)),
        });
        let outputs: Vec<Output> = outputs.collect();
        let hint = step.hint.as_ref().map(|t| self.early(t, frame, problems));
        let inputs = frame.inputs.clone();
        self.steps.push(Step { name, on, needs, action, inputs, unless, undo, check, outputs, timeout, hint });
    }

    fn action(&mut self, step: &StepFile, frame: &Frame, problems: &mut Problems) -> Option<Action> {
        Some(match &step.action {
            ActionFile::Run(script) => {
                self.check_names(script, &frame.inputs, problems);
                Action::Run { script: script.value.clone() }
            }
            ActionFile::Upload(file) => self.file(file, false, frame, problems)?,
            ActionFile::Template(file) => self.file(file, true, frame, problems)?,
            ActionFile::Wait(probe) => Action::Wait { probe: self.probe(probe, frame, problems)? },
            ActionFile::Check(probe) => Action::Check { probe: self.probe(probe, frame, problems)? },
            ActionFile::Observe(name) => {
                if let Some(message) = super::types::name_problem(&name.value) {
                    problems.add(Problem::new(name.span, message));
                }
                Action::Observe { name: name.value.clone() }
            }
            // Opened up by the caller; a composite step is never a plain one.
            ActionFile::Uses(_) => return None,
        })
    }

    fn file(&mut self, file: &FileFile, template: bool, frame: &Frame, problems: &mut Problems) -> Option<Action> {
        let path = self.early(&file.to, frame, problems);
        if !path.starts_with('/') || path.split('/').any(|part| part == "..") {
            problems.add(Problem::new(file.to.span, format!("`{path}` is no absolute path on a node")));
        }
        let content = match (&file.content, &file.from) {
            (Some(content), _) => {
                if template {
                    self.check_names(content, &frame.inputs, problems);
                }
                content.value.clone()
            }
            (None, Some(from)) => {
                let found = safe_path(&from.value).then(|| (self.library)(&from.value)).flatten();
                let Some((_, text)) = found else {
                    problems.add(Problem::new(
                        from.span,
                        format!("there is no file `{}` beside the templates", from.value),
                    ));
                    return None;
                };
                if template {
                    self.check_names(&At { value: text.clone(), span: from.span }, &frame.inputs, problems);
                }
                text
            }
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
        Some(Action::File { path, content, template, mode, owner })
    }

    fn probe(&mut self, probe: &ProbeFile, frame: &Frame, problems: &mut Problems) -> Option<Probe> {
        let (name, with) = match probe {
            ProbeFile::Inline(body) => {
                let name = body.description.value.clone();
                return Some(self.probe_body(name, body, frame.inputs.clone(), problems));
            }
            ProbeFile::Named { name, with } => (name, with),
        };
        let file = format!("probes/{}.yaml", name.value);
        let Some((shown, source)) = safe_path(&file).then(|| (self.library)(&file)).flatten() else {
            problems.add(Problem::new(name.span, format!("there is no probe `{}`", name.value)));
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
            let inputs = self.inputs(&decoded.inputs, with, name.span, frame, problems);
            self.probe_body(name.value.clone(), &decoded.body, inputs, &mut inner)
        });
        self.findings.take(inner, &shown, &source);
        made
    }

    fn probe_body(
        &self,
        name: String,
        body: &ProbeBody,
        inputs: BTreeMap<String, Json>,
        problems: &mut Problems,
    ) -> Probe {
        self.check_names(&body.run, &inputs, problems);
        Probe {
            name,
            description: self.known(&body.description, &inputs, problems),
            hint: body.hint.as_ref().map(|h| self.known(h, &inputs, problems)),
            script: body.run.value.clone(),
            every: duration(&body.every, 2, problems),
            timeout: duration(&body.timeout, 120, problems),
            inputs,
        }
    }

    /// Every name that a template uses must be there when it is rendered.
    fn check_names(&self, text: &Text, inputs: &BTreeMap<String, Json>, problems: &mut Problems) {
        let names = match template::names(&text.value) {
            Ok(names) => names,
            Err(why) => return problems.add(Problem::new(text.span, why)),
        };
        let known = self.lab.values.keys().chain(inputs.keys()).map(String::as_str).chain(ALWAYS);
        let known: BTreeSet<&str> = known.collect();
        let roots: BTreeSet<&str> = names.iter().filter_map(|n| n.split('.').next()).collect();
        for root in roots.difference(&known) {
            let all = known.iter().copied().collect::<Vec<_>>().join(", ");
            let help = match closest(root, known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`? Names here: {all}"),
                None => format!("names here: {all}"),
            };
            problems
                .add(Problem::new(text.span, format!("the template names `{root}`, which nobody defines")).help(help));
        }
    }
}

/// Whether a path stays below the folder it is looked up in.
fn safe_path(path: &str) -> bool {
    !path.starts_with('/') && path.split('/').all(|part| !part.is_empty() && part != ".." && part != ".")
}

fn duration(text: &Option<Text>, default: u64, problems: &mut Problems) -> u64 {
    let Some(text) = text else { return default };
    seconds(&text.value).unwrap_or_else(|why| {
        problems.add(Problem::new(text.span, why));
        default
    })
}
