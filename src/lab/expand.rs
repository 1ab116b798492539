//! Steps of a lab: composite steps opened up, names, nodes and needs resolved, templates checked against what they may
//! name.

use super::action::{Here, surplus};
use super::file::{At, Declared, Text};
use super::library::Library;
use super::model::{Lab, Step};
use super::resolve::Findings;
use super::step_file::{ActionFile, ProbeFile, StepFile, composite};
use super::templates::meant;
use super::types::text_problem;
use super::values::{declarations, stand_in, typed};
use crate::template::{self, Scope};
use crate::yaml::{Problem, Problems, Span, closest, parse};
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};

/// Composite steps within composite steps; deeper is a step that uses itself.
const MAX_DEPTH: usize = 8;
/// Steps of a lab once composite steps are opened up: those that use each other twice would have no end that anybody sees.
const MAX_STEPS: usize = 1000;
/// Problems of a file after which its templates are not tried out any more: each may take its time to fail.
pub(super) const ENOUGH: usize = 50;

/// Opens up all steps of a lab, in order.
pub(super) fn expand(
    steps: &[StepFile],
    lab: &Lab,
    library: Library,
    problems: &mut Problems,
    findings: &mut Findings,
) -> Vec<Step> {
    let scope = Frame { prefix: String::new(), inputs: BTreeMap::new(), on: Vec::new(), needs: Vec::new(), depth: 0 };
    let mut expander = Expander { lab, library, findings, steps: Vec::new(), opened: 0 };
    expander.list(steps, &scope, problems);
    expander.steps
}

/// What a list of steps stands in: the lab itself, or a composite step.
pub(super) struct Frame {
    prefix: String,
    pub inputs: BTreeMap<String, Json>,
    on: Vec<String>,
    needs: Vec<String>,
    depth: usize,
}

pub(super) struct Expander<'a> {
    pub lab: &'a Lab,
    pub library: Library<'a>,
    pub findings: &'a mut Findings,
    pub steps: Vec<Step>,
    /// How many steps were looked at, composite ones among them.
    opened: usize,
}

impl Expander<'_> {
    fn list(&mut self, steps: &[StepFile], frame: &Frame, problems: &mut Problems) {
        let mut before: BTreeSet<String> = BTreeSet::new();
        for step in steps {
            self.opened += 1;
            if self.opened > MAX_STEPS {
                if self.opened == MAX_STEPS + 1 {
                    let message = format!("more than {MAX_STEPS} steps in one lab, composite steps opened up");
                    problems.add(Problem::new(step.span, message));
                }
                return;
            }
            let name = self.name(step, problems);
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
            let here = Here { step, frame, name: format!("{}{}", frame.prefix, name.value), on, needs };
            match &step.action {
                ActionFile::Uses(path) => self.composite(path, here, problems),
                _ => self.plain(here, problems),
            }
        }
    }

    fn name(&self, step: &StepFile, problems: &mut Problems) -> Text {
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
        if let (Some(first), true) = (step.on.first(), named.is_empty()) {
            problems.add(Problem::new(first.span, "`on` names no node").help("without `on` a step runs on all nodes"));
        }
        let all = |node: &str| named.is_empty() || named.iter().any(|n| n == node);
        let inherited = |node: &str| step.on.is_empty() && !frame.on.is_empty() && !frame.on.iter().any(|n| n == node);
        let nodes = self.lab.nodes.iter().map(|n| n.name.clone());
        nodes.filter(|n| all(n) && !inherited(n)).collect()
    }

    /// Renders a text that must be known while resolving: only values and inputs can be named.
    pub(super) fn early(&self, text: &Text, frame: &Frame, problems: &mut Problems) -> String {
        self.known(text, &frame.inputs, problems)
    }

    /// Renders a text by the lab's values and these inputs alone.
    pub(super) fn known(&self, text: &Text, inputs: &BTreeMap<String, Json>, problems: &mut Problems) -> String {
        if !template::is_template(&text.value) {
            return text.value.clone();
        }
        if problems.0.len() >= ENOUGH {
            return String::new();
        }
        let mut scope: Scope = self.lab.values.clone().into_iter().collect();
        scope.extend(inputs.clone());
        if let Err((_, refusal)) = template::try_out(&text.value, std::slice::from_ref(&scope)) {
            let known: Vec<&str> = scope.keys().map(String::as_str).collect();
            let help = format!("this is read before any node runs; it can name {}", known.join(", "));
            problems.add(Problem::new(text.span, refusal.explain(&text.value)).help(help));
        }
        template::render(&text.value, &scope).unwrap_or_default()
    }

    /// The same for a text that people will see.
    pub(super) fn shown(&self, text: &Text, inputs: &BTreeMap<String, Json>, problems: &mut Problems) -> String {
        let shown = self.known(text, inputs, problems);
        if let Some(why) = text_problem(&shown) {
            problems.add(Problem::new(text.span, why));
        }
        shown
    }

    fn composite(&mut self, path: &Text, here: Here, problems: &mut Problems) {
        let Here { step, frame, name, on, needs } = here;
        if frame.depth >= MAX_DEPTH {
            problems.add(Problem::new(
                path.span,
                format!("composite steps nest deeper than {MAX_DEPTH}: does it use itself?"),
            ));
            return;
        }
        surplus(step, problems);
        let Some((shown, source)) = self.library.find(&format!("{}.yaml", path.value)) else {
            let known = self.library.names("", ".yaml");
            let known = known.iter().filter(|n| !n.starts_with("images/") && !n.starts_with("probes/"));
            let mut problem = Problem::new(path.span, format!("there is no composite step `{}`", path.value));
            if let Some(near) = closest(&path.value, known.map(String::as_str)) {
                problem = problem.help(format!("did you mean `{near}`?"));
            }
            return problems.add(problem);
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
            let given = self.given(&decoded.inputs, &step.with, frame, problems);
            let inputs = self.typed(&decoded.inputs, &given, path.span, problems, &mut inner);
            let prefix = format!("{name}/");
            let inside = Frame { prefix, inputs, on, needs, depth: frame.depth + 1 };
            self.list(&decoded.steps, &inside, &mut inner);
        }
        self.findings.take(inner, &shown, &source);
    }

    /// What `with` gives, rendered; unknown inputs are problems.
    pub(super) fn given(
        &self,
        declared: &[Declared],
        with: &[(Text, Text)],
        frame: &Frame,
        problems: &mut Problems,
    ) -> Vec<(Text, Text)> {
        for (name, _) in with {
            if !declared.iter().any(|d| d.name.value == name.value) {
                let help = meant(&name.value, declared.iter().map(|d| d.name.value.as_str()), "Inputs");
                problems.add(Problem::new(name.span, format!("unknown input `{}`", name.value)).help(help));
            }
        }
        let render = |v: &Text, problems: &mut Problems| At { value: self.early(v, frame, problems), span: v.span };
        with.iter().map(|(k, v)| (k.clone(), render(v, problems))).collect()
    }

    /// The declared inputs by their types. What is wrong with the declarations belongs to their own file, `theirs`.
    pub(super) fn typed(
        &self,
        declared: &[Declared],
        given: &[(Text, Text)],
        span: Span,
        problems: &mut Problems,
        theirs: &mut Problems,
    ) -> BTreeMap<String, Json> {
        let nodes: Vec<&str> = self.lab.nodes.iter().map(|n| n.name.as_str()).collect();
        let good = declarations(declared, &nodes, theirs);
        let mut all = typed(&good, given, &nodes, span, problems);
        stand_in(declared, &mut all);
        all
    }
}
