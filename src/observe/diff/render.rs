//! A diff as text for a terminal and as markdown for a note.

use super::super::fact::{Fact, Subject};
use super::super::owner::Component;
use super::super::paint::{Ink, count, paint};
use super::{Change, Diff, Group, Kind};
use std::collections::BTreeMap;

/// How a diff is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// With ANSI colours.
    pub colour: bool,
    /// Components whose changes are only counted. A CNI step lets pods start, and then kube-proxy writes rules for
    /// them; they would drown what the CNI did.
    pub folded: Vec<Component>,
}

impl Default for Options {
    fn default() -> Self {
        Self { colour: false, folded: vec![Component::KubeProxy, Component::Kubelet] }
    }
}

impl Kind {
    fn sign(self) -> &'static str {
        match self {
            Self::Added => "+",
            Self::Removed => "-",
            Self::Changed => "~",
        }
    }

    fn ink(self) -> Ink {
        match self {
            Self::Added => Ink::Added,
            Self::Removed => Ink::Removed,
            Self::Changed => Ink::Changed,
        }
    }
}

/// A group of changes as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// `+`, `-` or `~`.
    pub sign: &'static str,
    pub subject: Subject,
    /// Who and why, with lines that start with `+`, `-` or `!`.
    pub reasons: Vec<(String, Vec<String>)>,
}

/// The groups that are shown.
pub fn parts(diff: &Diff, options: &Options) -> Vec<Part> {
    let shown = diff.only(|c| !options.folded.contains(&c));
    let part = |group: &Group| {
        let line = |(kind, line): (Kind, String)| {
            // A diff block knows no third colour: what changed is what went and what came.
            format!("{} {line}", if kind == Kind::Changed { "!" } else { kind.sign() })
        };
        let reason =
            |(why, changes): (String, Vec<&Change>)| (why, changes.into_iter().flat_map(lines).map(line).collect());
        Part {
            sign: group.kind.sign(),
            subject: group.subject.clone(),
            reasons: by_owner(group).into_iter().map(reason).collect(),
        }
    };
    shown.groups.iter().map(part).collect()
}

/// What stands below a diff: changes that are only counted, and notes.
pub fn remarks(diff: &Diff, options: &Options) -> Vec<String> {
    folded(diff, options).into_iter().chain(diff.notes.iter().map(|n| format!("note: {n}"))).collect()
}

/// The diff as lines for people.
pub fn text(diff: &Diff, options: &Options) -> String {
    let shown = diff.only(|c| !options.folded.contains(&c));
    let mut out = paint(options.colour, Ink::Strong, &diff.node) + "\n";
    if diff.is_empty() {
        out += "  nothing changed\n";
    }
    for group in &shown.groups {
        let title = format!("{} {}", group.kind.sign(), group.subject.title());
        out += &format!("  {}\n", paint(options.colour, group.kind.ink(), &title));
        for (why, changes) in by_owner(group) {
            out += &format!("    {}\n", paint(options.colour, Ink::Faint, &why));
            for change in changes {
                for (kind, line) in lines(change) {
                    let line = format!("{} {line}", kind.sign());
                    out += &format!("    {}\n", paint(options.colour, kind.ink(), &line));
                }
            }
        }
    }
    for line in remarks(diff, options) {
        out += &format!("  {}\n", paint(options.colour, Ink::Faint, &line));
    }
    out
}

/// The diff as markdown: a heading, a paragraph and a diff block per group.
pub fn markdown(diff: &Diff, options: &Options) -> String {
    let mut out = format!("## {}\n\n", diff.node);
    if diff.is_empty() {
        out += "Nothing changed.\n\n";
    }
    for part in parts(diff, options) {
        out += &format!("### {} {}\n\n", part.sign, escape(&part.subject.title()));
        for (why, lines) in part.reasons {
            out += &format!("{}\n\n```diff\n{}\n```\n\n", escape(&why), lines.join("\n"));
        }
    }
    for line in remarks(diff, options) {
        out += &format!("*{}*\n\n", escape(&line));
    }
    out
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '*' | '_' | '`' | '<' | '[' | ']' | '\\' | '|') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// A group's changes by owner and reason, in order of first appearance.
fn by_owner(group: &Group) -> Vec<(String, Vec<&Change>)> {
    let mut parts: Vec<(String, Vec<&Change>)> = Vec::new();
    for change in &group.changes {
        let why = format!("{}: {}", change.owner.component, change.owner.why);
        match parts.iter_mut().find(|(w, _)| *w == why) {
            Some((_, changes)) => changes.push(change),
            None => parts.push((why, vec![change])),
        }
    }
    parts
}

/// What a change shows: one line, or the line that went and the line that came.
fn lines(change: &Change) -> Vec<(Kind, String)> {
    match (&change.before, &change.after) {
        (Some(Fact::Order { .. }), Some(after)) => vec![(Kind::Changed, after.line())],
        (Some(Fact::File { text: old, .. }), Some(after @ Fact::File { text: new, .. })) => {
            let gone = old.lines().filter(|l| !new.lines().any(|n| n == *l));
            let came = new.lines().filter(|l| !old.lines().any(|o| o == *l));
            let mut shown = vec![(Kind::Changed, after.line())];
            shown.extend(gone.map(|l| (Kind::Removed, format!("  {l}"))));
            shown.extend(came.map(|l| (Kind::Added, format!("  {l}"))));
            shown
        }
        (Some(before), Some(after)) => vec![(Kind::Removed, before.line()), (Kind::Added, after.line())],
        (_, Some(fact)) => vec![(Kind::Added, fact.line())],
        (Some(fact), None) => vec![(Kind::Removed, fact.line())],
        (None, None) => Vec::new(),
    }
}

/// One line per component whose changes are only counted.
fn folded(diff: &Diff, options: &Options) -> Vec<String> {
    let mut counts: BTreeMap<Component, (usize, usize)> = BTreeMap::new();
    for change in diff.changes().filter(|c| options.folded.contains(&c.owner.component)) {
        let (chains, others) = counts.entry(change.owner.component).or_default();
        *(if matches!(change.fact(), Some(Fact::Chain { .. })) { chains } else { others }) += 1;
    }
    let line = |(component, (chains, others)): (Component, (usize, usize))| {
        format!("not shown: changes by {component} ({}, {})", count(chains, "chain"), count(others, "rule"))
    };
    counts.into_iter().map(line).collect()
}
