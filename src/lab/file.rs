//! The lab file as written: a mirror of the YAML that may be wrong in what it means, but not in its shape. Every value
//! keeps its place.

use super::chapter::{self, ChapterFile};
use super::check::{self, CheckFile};
use super::step_file::{StepFile, steps};
use super::tool::{self, ToolFile};
use crate::yaml::{MapReader, Node as Tree, Problem, Problems, Span};

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct At<T> {
    pub value: T,
    pub span: Span,
}

/// A text of the file.
pub type Text = At<String>;

/// Makes a [`Text`] of a scalar's text and place.
pub fn text_at((text, span): (&str, Span)) -> Text {
    At { value: text.to_owned(), span }
}

/// A whole lab file.
#[derive(Debug, Clone)]
pub struct LabFile {
    pub name: Text,
    pub title: Option<Text>,
    pub image: Text,
    pub driver: Option<Text>,
    pub values: Vec<Declared>,
    pub networks: Vec<NetworkFile>,
    pub nodes: Vec<NodeFile>,
    pub steps: Vec<StepFile>,
    pub chapters: Vec<ChapterFile>,
    pub checks: Vec<CheckFile>,
    pub exports: Vec<ExportFile>,
    pub tools: Vec<ToolFile>,
}

/// A declared value or input: `name: {type: cidr, default: 10.244.0.0/16}`.
#[derive(Debug, Clone)]
pub struct Declared {
    pub name: Text,
    pub kind: Text,
    pub default: Option<Text>,
}

/// A network as written.
#[derive(Debug, Clone)]
pub struct NetworkFile {
    pub name: Text,
    pub kind: Text,
    pub subnet: Option<Text>,
}

/// A node as written.
#[derive(Debug, Clone)]
pub struct NodeFile {
    pub name: Text,
    pub cpus: Option<Text>,
    pub memory: Option<Text>,
    pub disk: Option<Text>,
    pub networks: Vec<(Text, Text)>,
}

/// An export as written.
#[derive(Debug, Clone)]
pub struct ExportFile {
    pub name: Text,
    pub node: Text,
    pub path: Text,
    pub port: Option<Text>,
}

/// Decodes a lab file's tree; every problem of its shape goes into `problems`.
pub fn decode(tree: &Tree, problems: &mut Problems) -> Option<LabFile> {
    let mut map = MapReader::new(tree, "a lab file", problems)?;
    let name = required(&mut map, "lab", problems);
    let title = optional(&mut map, "title", problems);
    let image = required(&mut map, "image", problems);
    let driver = optional(&mut map, "driver", problems);
    let values = declarations(&mut map, "values", problems);
    let networks =
        map.entries("networks", problems).iter().filter_map(|(key, node)| network(key_text(key), node, problems));
    let networks: Vec<_> = networks.collect();
    let nodes = map.entries("nodes", problems).iter().filter_map(|(key, tree)| node(key_text(key), tree, problems));
    let nodes: Vec<_> = nodes.collect();
    let steps = steps(map.items("steps", problems), problems);
    let chapters = chapter::decode(map.items("chapters", problems), problems);
    let checks = check::decode(map.items("checks", problems), problems);
    let exports =
        map.entries("exports", problems).iter().filter_map(|(key, tree)| export(key_text(key), tree, problems));
    let exports: Vec<_> = exports.collect();
    let tools = map.entries("tools", problems).iter().filter_map(|(k, t)| tool::decode(key_text(k), t, problems));
    let tools: Vec<_> = tools.collect();
    map.finish(problems);
    Some(LabFile {
        name: name?,
        title,
        image: image?,
        driver,
        values,
        networks,
        nodes,
        steps,
        chapters,
        checks,
        exports,
        tools,
    })
}

pub(super) fn key_text(key: &crate::yaml::Key) -> Text {
    At { value: key.text.clone(), span: key.span }
}

/// A text that may be missing.
pub(super) fn optional<'a>(map: &mut MapReader<'a>, key: &'a str, problems: &mut Problems) -> Option<Text> {
    let span = map.optional(key)?.span;
    map.text(key, problems).map(|text| text_at((text, span)))
}

/// A text that must be there.
pub(super) fn required<'a>(map: &mut MapReader<'a>, key: &'a str, problems: &mut Problems) -> Option<Text> {
    map.required(key, problems)?;
    optional(map, key, problems)
}

/// `values:` of a lab, `inputs:` of a composite step.
pub(super) fn declarations<'a>(map: &mut MapReader<'a>, key: &'a str, problems: &mut Problems) -> Vec<Declared> {
    let entries = map.entries(key, problems);
    let mut all = Vec::new();
    for (name, tree) in entries {
        let Some(mut map) = MapReader::new(tree, "a declaration", problems) else { continue };
        let kind = required(&mut map, "type", problems);
        let default = optional(&mut map, "default", problems);
        optional(&mut map, "description", problems);
        map.finish(problems);
        if let Some(kind) = kind {
            all.push(Declared { name: key_text(name), kind, default });
        }
    }
    all
}

fn network(name: Text, tree: &Tree, problems: &mut Problems) -> Option<NetworkFile> {
    let mut map = MapReader::new(tree, "a network", problems)?;
    let kind = required(&mut map, "kind", problems);
    let subnet = optional(&mut map, "subnet", problems);
    map.finish(problems);
    Some(NetworkFile { name, kind: kind?, subnet })
}

fn node(name: Text, tree: &Tree, problems: &mut Problems) -> Option<NodeFile> {
    let mut map = MapReader::new(tree, "a node", problems)?;
    let cpus = optional(&mut map, "cpus", problems);
    let memory = optional(&mut map, "memory", problems);
    let disk = optional(&mut map, "disk", problems);
    let mut networks = Vec::new();
    for (key, address) in map.entries("networks", problems) {
        match address.text() {
            Some(text) => networks.push((key_text(key), text_at((text, address.span)))),
            None => problems
                .add(Problem::new(address.span, "a node's network has its address there: `lan: 192.168.20.100`")),
        }
    }
    map.finish(problems);
    Some(NodeFile { name, cpus, memory, disk, networks })
}

fn export(name: Text, tree: &Tree, problems: &mut Problems) -> Option<ExportFile> {
    let mut map = MapReader::new(tree, "an export", problems)?;
    let node = required(&mut map, "node", problems);
    let path = required(&mut map, "path", problems);
    let port = optional(&mut map, "port", problems);
    map.finish(problems);
    Some(ExportFile { name, node: node?, path: path?, port })
}
