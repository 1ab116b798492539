//! Steps, probes and composite steps as written.

use super::file::{At, Declared, Text, declarations, optional, required, text_at};
use crate::yaml::{MapReader, Node as Tree, Problem, Problems, Span, Value};

/// A step as written: exactly one action.
#[derive(Debug, Clone)]
pub struct StepFile {
    pub span: Span,
    pub name: Option<Text>,
    pub on: Vec<Text>,
    pub needs: Vec<Text>,
    pub action: ActionFile,
    pub with: Vec<(Text, Text)>,
    pub unless: Option<Text>,
    pub undo: Option<Text>,
    pub check: Option<ProbeFile>,
    pub outputs: Vec<OutputFile>,
    pub timeout: Option<Text>,
    pub hint: Option<Text>,
}

/// What a step does, as written.
#[derive(Debug, Clone)]
pub enum ActionFile {
    Run(Text),
    Upload(FileFile),
    Template(FileFile),
    Wait(ProbeFile),
    Uses(Text),
    Observe(Text),
    Check(ProbeFile),
}

impl ActionFile {
    /// The word that the lab file uses for it.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Run(_) => "run",
            Self::Upload(_) => "upload",
            Self::Template(_) => "template",
            Self::Wait(_) => "wait",
            Self::Uses(_) => "uses",
            Self::Observe(_) => "observe",
            Self::Check(_) => "check",
        }
    }
}

/// A file for a node, as written. Its content stands there or in a file beside the templates.
#[derive(Debug, Clone)]
pub struct FileFile {
    pub to: Text,
    pub from: Option<Text>,
    pub content: Option<Text>,
    pub mode: Option<Text>,
    pub owner: Option<Text>,
}

/// A probe as written: the name of one, or one in place.
#[derive(Debug, Clone)]
pub enum ProbeFile {
    Named { name: Text, with: Vec<(Text, Text)> },
    Inline(ProbeBody),
}

impl ProbeFile {
    /// Where it stands.
    pub fn span(&self) -> Span {
        match self {
            Self::Named { name, .. } => name.span,
            Self::Inline(body) => body.description.span,
        }
    }
}

/// The parts of a probe.
#[derive(Debug, Clone)]
pub struct ProbeBody {
    pub description: Text,
    pub hint: Option<Text>,
    pub run: Text,
    pub every: Option<Text>,
    pub timeout: Option<Text>,
}

/// A declared output as written.
#[derive(Debug, Clone)]
pub struct OutputFile {
    pub name: Text,
    pub secret: bool,
    pub lifetime: Option<Text>,
}

/// A composite step's file: typed inputs and steps.
#[derive(Debug, Clone)]
pub struct CompositeFile {
    pub inputs: Vec<Declared>,
    pub steps: Vec<StepFile>,
}

/// A named probe's file: typed inputs and the probe.
#[derive(Debug, Clone)]
pub struct NamedProbe {
    pub inputs: Vec<Declared>,
    pub body: ProbeBody,
}

/// The actions by their keys.
const ACTIONS: [&str; 7] = ["run", "upload", "template", "wait", "uses", "observe", "check"];

/// Decodes a list of steps.
pub fn steps(items: &[Tree], problems: &mut Problems) -> Vec<StepFile> {
    items.iter().filter_map(|item| step(item, problems)).collect()
}

/// Decodes a composite step's file.
pub fn composite(tree: &Tree, problems: &mut Problems) -> Option<CompositeFile> {
    let mut map = MapReader::new(tree, "a composite step", problems)?;
    optional(&mut map, "description", problems);
    let inputs = declarations(&mut map, "inputs", problems);
    let steps = steps(map.items("steps", problems), problems);
    map.finish(problems);
    Some(CompositeFile { inputs, steps })
}

/// Decodes a named probe's file.
pub fn named_probe(tree: &Tree, problems: &mut Problems) -> Option<NamedProbe> {
    let mut map = MapReader::new(tree, "a probe", problems)?;
    let inputs = declarations(&mut map, "inputs", problems);
    let body = probe_body(&mut map, problems);
    map.finish(problems);
    Some(NamedProbe { inputs, body: body? })
}

fn step(tree: &Tree, problems: &mut Problems) -> Option<StepFile> {
    let mut map = MapReader::new(tree, "a step", problems)?;
    let name = optional(&mut map, "name", problems);
    let texts = |map: &mut MapReader<'_>, key, problems: &mut Problems| -> Vec<Text> { map_texts(map, key, problems) };
    let on = texts(&mut map, "on", problems);
    let needs = texts(&mut map, "needs", problems);
    let unless = optional(&mut map, "unless", problems);
    let undo = optional(&mut map, "undo", problems);
    let timeout = optional(&mut map, "timeout", problems);
    let hint = optional(&mut map, "hint", problems);
    let with = pairs(&mut map, "with", problems);
    let outputs = outputs(&mut map, problems);
    let action = action(&mut map, problems);
    map.finish(problems);
    let (action, check) = action?;
    Some(StepFile { span: tree.span, name, on, needs, action, with, unless, undo, check, outputs, timeout, hint })
}

fn map_texts<'a>(map: &mut MapReader<'a>, key: &'static str, problems: &mut Problems) -> Vec<Text> {
    map.texts(key, problems).into_iter().map(text_at).collect()
}

/// The one action, and the `check:` beside it: alone, `check` is the action itself.
fn action(map: &mut MapReader<'_>, problems: &mut Problems) -> Option<(ActionFile, Option<ProbeFile>)> {
    let present: Vec<&str> = ACTIONS.into_iter().filter(|key| map.optional(key).is_some()).collect();
    let others: Vec<&str> = present.iter().copied().filter(|key| *key != "check").collect();
    let check = match map.optional("check") {
        Some(tree) => Some(probe(tree, problems)?),
        None => None,
    };
    let action = match (others.as_slice(), check) {
        ([], Some(check)) => return Some((ActionFile::Check(check), None)),
        ([one], check) => (single(map, one, problems)?, check),
        (found, _) => {
            let found = if found.is_empty() { "none".to_owned() } else { found.join(" and ") };
            let message = format!("a step does exactly one thing, but this one has {found}");
            let help = format!("one of: {}", ACTIONS.join(", "));
            problems.add(Problem::new(map.span(), message).help(help));
            return None;
        }
    };
    Some(action)
}

fn single(map: &mut MapReader<'_>, key: &str, problems: &mut Problems) -> Option<ActionFile> {
    Some(match key {
        "run" => ActionFile::Run(optional(map, "run", problems)?),
        "uses" => ActionFile::Uses(optional(map, "uses", problems)?),
        "observe" => ActionFile::Observe(optional(map, "observe", problems)?),
        "wait" => ActionFile::Wait(probe(map.optional("wait")?, problems)?),
        "upload" => ActionFile::Upload(file(map.optional("upload")?, problems)?),
        _ => ActionFile::Template(file(map.optional("template")?, problems)?),
    })
}

fn file(tree: &Tree, problems: &mut Problems) -> Option<FileFile> {
    let mut map = MapReader::new(tree, "a file for a node", problems)?;
    let to = required(&mut map, "to", problems);
    let from = optional(&mut map, "from", problems);
    let content = optional(&mut map, "content", problems);
    let mode = optional(&mut map, "mode", problems);
    let owner = optional(&mut map, "owner", problems);
    if from.is_some() == content.is_some() {
        problems.add(Problem::new(map.span(), "a file has either `from` or `content`"));
    }
    map.finish(problems);
    Some(FileFile { to: to?, from, content, mode, owner })
}

fn probe(tree: &Tree, problems: &mut Problems) -> Option<ProbeFile> {
    if let Some(name) = tree.text() {
        return Some(ProbeFile::Named { name: text_at((name, tree.span)), with: Vec::new() });
    }
    let mut map = MapReader::new(tree, "a probe", problems)?;
    if map.optional("probe").is_some() {
        let name = optional(&mut map, "probe", problems);
        let with = pairs(&mut map, "with", problems);
        map.finish(problems);
        return Some(ProbeFile::Named { name: name?, with });
    }
    let body = probe_body(&mut map, problems);
    map.finish(problems);
    body.map(ProbeFile::Inline)
}

fn probe_body(map: &mut MapReader<'_>, problems: &mut Problems) -> Option<ProbeBody> {
    let description = required(map, "description", problems);
    let hint = optional(map, "hint", problems);
    let run = required(map, "run", problems);
    let every = optional(map, "every", problems);
    let timeout = optional(map, "timeout", problems);
    Some(ProbeBody { description: description?, hint, run: run?, every, timeout })
}

/// `with:` of a step, `labels:` of a check.
pub(super) fn pairs<'a>(map: &mut MapReader<'a>, key: &'a str, problems: &mut Problems) -> Vec<(Text, Text)> {
    let mut all = Vec::new();
    for (name, node) in map.entries(key, problems) {
        let name = At { value: name.text.clone(), span: name.span };
        match (&node.value, node.text()) {
            (_, Some(text)) => all.push((name, text_at((text, node.span)))),
            (Value::Null, None) => all.push((name, At { value: String::new(), span: node.span })),
            _ => problems.add(Problem::new(node.span, format!("an input is a text, but this is {}", node.kind()))),
        }
    }
    all
}

fn outputs(map: &mut MapReader<'_>, problems: &mut Problems) -> Vec<OutputFile> {
    let mut all = Vec::new();
    for (key, tree) in map.entries("outputs", problems) {
        let name = At { value: key.text.clone(), span: key.span };
        if tree.value == Value::Null {
            all.push(OutputFile { name, secret: false, lifetime: None });
            continue;
        }
        let Some(mut map) = MapReader::new(tree, "an output", problems) else { continue };
        let secret = map.flag("secret", problems);
        let lifetime = optional(&mut map, "lifetime", problems);
        map.finish(problems);
        all.push(OutputFile { name, secret, lifetime });
    }
    all
}
