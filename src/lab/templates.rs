//! Whether a step's templates can be rendered: every name is there, and every node's rendering succeeds for each kind of
//! driver, with stand-ins for outputs that only a run makes.

use super::expand::ENOUGH;
use super::model::{Lab, Step};
use super::scope::{self, ALWAYS, DRIVER, LAB, NODE};
use crate::template::{self, Scope};
use crate::yaml::{Problem, Problems, Span, closest};
use serde_json::{Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};

/// What the template language brings itself.
const GLOBALS: [&str; 3] = ["range", "dict", "namespace"];

/// Where a template stands: what it can see.
pub(super) struct Stand<'a> {
    pub lab: &'a Lab,
    /// The step's full name.
    pub step: &'a str,
    pub on: &'a [String],
    pub inputs: &'a BTreeMap<String, Json>,
    /// The steps above it.
    pub before: &'a [Step],
}

/// Outputs that a step can read, by the producer's short name.
type Outputs<'a> = BTreeMap<&'a str, BTreeSet<&'a str>>;

impl Stand<'_> {
    /// Adds a problem for what cannot be rendered. `whole` is set where the text is a file of its own, whose lines are
    /// the span's lines.
    pub fn check(&self, text: &str, span: Span, whole: bool, problems: &mut Problems) {
        let place = |refusal: &template::Refusal| match (whole, refusal.line(text)) {
            (true, Some(line)) => line_of(text, line, refusal),
            _ => span,
        };
        if problems.0.len() >= ENOUGH {
            return;
        }
        if let Err((_, refusal)) = template::try_out(text, &[]) {
            return problems.add(Problem::new(place(&refusal), refusal.explain(text)));
        }
        let names = template::names(text).unwrap_or_default();
        let before = problems.0.len();
        let mut unknown = BTreeSet::new();
        for name in &names {
            if let Some((message, help)) = self.unknown(name)
                && unknown.insert(message.clone())
            {
                let at = if whole { find(text, name).unwrap_or(span) } else { span };
                problems.add(Problem::new(at, message).help(help));
            }
        }
        if problems.0.len() > before {
            return;
        }
        let asks_driver = names.iter().any(|n| n.split('.').next() == Some("driver"));
        let (scopes, nodes) = self.scopes(asks_driver);
        if let Err((number, refusal)) = template::try_out(text, &scopes)
            && !self.is_for_want_of_outputs(text, &names, &refusal)
        {
            let node = nodes.get(number).copied().unwrap_or_default();
            let message = format!("{}, as rendered for {node}", refusal.explain(text));
            let mut problem = Problem::new(place(&refusal), message);
            let part = refusal.at.clone().and_then(|at| text.get(at)).and_then(|part| part.rsplit_once('.'));
            if let Some(near) = part.and_then(|(_, field)| closest(field, NODE)) {
                problem = problem.help(format!("did you mean `{near}`?"));
            }
            problems.add(problem);
        }
    }

    /// Whether a refusal may come of the stand-in for an output, whose form only its step knows.
    fn is_for_want_of_outputs(&self, text: &str, names: &BTreeSet<String>, refusal: &template::Refusal) -> bool {
        // An unknown filter or method is one with every value.
        let reads = names.iter().any(|n| n.starts_with("outputs.")) && !refusal.why.starts_with("unknown");
        let part = refusal.at.clone().and_then(|at| text.get(at)).unwrap_or("outputs");
        reads && (part.contains("outputs") || text.contains("{% set") || text.contains("{%- set"))
    }

    /// What is wrong with a dotted name, and what was probably meant.
    fn unknown(&self, name: &str) -> Option<(String, String)> {
        let mut parts = name.split('.');
        let root = parts.next().unwrap_or_default();
        if GLOBALS.contains(&root) {
            return None;
        }
        let known: BTreeSet<&str> =
            self.lab.values.keys().chain(self.inputs.keys()).map(String::as_str).chain(ALWAYS).collect();
        if !known.contains(root) {
            let message = format!("the template names `{root}`, which nobody defines");
            return Some((message, meant(root, known.iter().copied(), "Names here")));
        }
        if self.lab.values.contains_key(root) || self.inputs.contains_key(root) {
            return None;
        }
        let (fields, what): (&[&str], &str) = match root {
            "node" => (&NODE, "A node has"),
            "lab" => (&LAB, "A lab has"),
            "driver" => (&DRIVER, "A driver says"),
            "outputs" => return self.unknown_output(name, parts.next()?, parts.next()),
            _ => return None,
        };
        let field = parts.next()?;
        (!fields.contains(&field)).then(|| {
            let message = format!("the template names `{root}.{field}`, which nobody defines");
            (message, meant(field, fields.iter().copied(), what))
        })
    }

    fn unknown_output(&self, name: &str, step: &str, output: Option<&str>) -> Option<(String, String)> {
        let outputs = self.outputs();
        let Some(left) = outputs.get(step) else {
            let message = format!("the template names `{name}`, but no step `{step}` with outputs stands above");
            return Some((message, meant(step, outputs.keys().copied(), "Steps with outputs")));
        };
        let output = output?;
        (!left.contains(output)).then(|| {
            let message = format!("the template names `{name}`, but `{step}` leaves no output `{output}`");
            (message, meant(output, left.iter().copied(), "It leaves"))
        })
    }

    fn outputs(&self) -> Outputs<'_> {
        let with = self.before.iter().filter(|s| !s.outputs.is_empty());
        let seen = with.filter_map(|s| Some((scope::short_name(&s.name, self.step)?, s)));
        seen.map(|(short, s)| (short, s.outputs.iter().map(|o| o.name.as_str()).collect())).collect()
    }

    /// What the template is rendered in: each of its nodes; the first one with every kind of driver, if it asks for that.
    fn scopes(&self, asks_driver: bool) -> (Vec<Scope>, Vec<&str>) {
        let outputs: BTreeMap<&str, BTreeMap<&str, &str>> =
            self.outputs().into_iter().map(|(step, names)| (step, names.iter().map(|n| (*n, "1")).collect())).collect();
        let (mut scopes, mut nodes) = (Vec::new(), Vec::new());
        for (index, node) in self.on.iter().enumerate() {
            let kinds = if asks_driver && index == 0 { 16 } else { 1 };
            for kind in 0..kinds {
                let mut scope = scope::of(self.lab, self.inputs, Some(node));
                scope.insert("driver".into(), driver(kind));
                scope.insert("outputs".into(), json!(outputs));
                scopes.push(scope);
                nodes.push(node.as_str());
            }
        }
        (scopes, nodes)
    }
}

/// One of the kinds of driver that there may be.
fn driver(kind: usize) -> Json {
    let bit = |n: usize| kind & (1 << n) != 0;
    let name = ["qemu", "container", "fake"][kind % 3];
    json!({"name": name, "description": name, "slowness": if bit(0) { 10 } else { 1 }, "emulated": bit(0),
           "nested_kernel": bit(1), "oom_adjust": !bit(2), "cgroup_v1": bit(3)})
}

/// "did you mean `x`? Names here: a, b", or only the list.
pub(super) fn meant<'a>(given: &str, known: impl Iterator<Item = &'a str>, what: &str) -> String {
    let known: Vec<&str> = known.collect();
    let all = if known.is_empty() { "nothing".to_owned() } else { known.join(", ") };
    match closest(given, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`? {what}: {all}"),
        None => format!("{}: {all}", what.to_lowercase()),
    }
}

fn line_of(text: &str, line: usize, refusal: &template::Refusal) -> Span {
    let at = refusal.at.clone().unwrap_or_default();
    let start = text.get(..at.start).and_then(|t| t.rfind('\n')).map_or(0, |n| n + 1);
    let chars = |range: std::ops::Range<usize>| text.get(range).map_or(0, |t| t.chars().count());
    Span { line, column: chars(start..at.start) + 1, length: chars(at).max(1) }
}

/// Where a name first stands in a text.
fn find(text: &str, name: &str) -> Option<Span> {
    let (index, line) = text.lines().enumerate().find(|(_, l)| l.contains(name))?;
    let column = line.find(name).map_or(0, |n| line[..n].chars().count());
    Some(Span { line: index + 1, column: column + 1, length: name.chars().count() })
}
