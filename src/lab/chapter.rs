//! Chapters: the lab's steps in groups, each with a text for who walks through them.

use super::file::{At, Text, optional, required, text_at};
use super::library::Library;
use super::model::{Chapter, Lab};
use super::resolve::Findings;
use super::scope;
use super::templates::meant;
use super::types::name_problem;
use crate::template;
use crate::yaml::{MapReader, Node as Tree, Problem, Problems, Span, Value};
use std::collections::{BTreeMap, BTreeSet};

/// A chapter as written.
#[derive(Debug, Clone)]
pub struct ChapterFile {
    pub name: Text,
    /// Its last step; the last chapter needs none.
    pub until: Option<Text>,
    pub text: TextFile,
}

/// A chapter's text as written.
#[derive(Debug, Clone)]
pub enum TextFile {
    /// In place, by language.
    Inline(Vec<(String, Text)>),
    /// Beside the templates: `PATH.en.md`, `PATH.ko.md`.
    From(Text),
}

/// The language of a text that does not say it, and the one shown where the wanted one is missing.
pub const FALLBACK: &str = "en";

/// Decodes the list of chapters.
pub fn decode(items: &[Tree], problems: &mut Problems) -> Vec<ChapterFile> {
    items.iter().filter_map(|item| chapter(item, problems)).collect()
}

fn chapter(tree: &Tree, problems: &mut Problems) -> Option<ChapterFile> {
    let mut map = MapReader::new(tree, "a chapter", problems)?;
    let name = required(&mut map, "name", problems);
    let until = optional(&mut map, "until", problems);
    let from = optional(&mut map, "from", problems);
    let text = map.optional("text");
    if from.is_some() == text.is_some() {
        problems.add(Problem::new(map.span(), "a chapter has either `from` or `text`"));
    }
    map.finish(problems);
    let text = match (from, text) {
        (Some(from), _) => TextFile::From(from),
        (None, Some(tree)) => TextFile::Inline(inline(tree, problems)),
        (None, None) => return None,
    };
    Some(ChapterFile { name: name?, until, text })
}

fn inline(tree: &Tree, problems: &mut Problems) -> Vec<(String, Text)> {
    if let Some(text) = tree.text() {
        return vec![(FALLBACK.to_owned(), text_at((text, tree.span)))];
    }
    let Value::Map(entries) = &tree.value else {
        let message = format!("`text` is a text or texts by language, but this is {}", tree.kind());
        problems.add(Problem::new(tree.span, message));
        return Vec::new();
    };
    let mut all = Vec::new();
    for (language, node) in entries {
        if !is_language(&language.text) {
            let message = format!("`{}` is no language: two small letters, as `en` or `ko`", language.text);
            problems.add(Problem::new(language.span, message));
        }
        match node.text() {
            Some(text) => all.push((language.text.clone(), text_at((text, node.span)))),
            None => problems.add(Problem::new(node.span, format!("a chapter's text is a text, not {}", node.kind()))),
        }
    }
    all
}

fn is_language(word: &str) -> bool {
    word.len() == 2 && word.chars().all(|c| c.is_ascii_lowercase())
}

/// Resolves the chapters of a lab whose steps are there; together they hold all steps, in order.
pub(super) fn resolve(
    files: &[ChapterFile],
    lab: &Lab,
    library: Library,
    problems: &mut Problems,
    findings: &mut Findings,
) -> Vec<Chapter> {
    let mut all: Vec<Chapter> = Vec::new();
    let mut names = BTreeSet::new();
    for (number, file) in files.iter().enumerate() {
        if let Some(message) = name_problem(&file.name.value) {
            problems.add(Problem::new(file.name.span, message));
        }
        if !names.insert(&file.name.value) {
            problems.add(Problem::new(file.name.span, format!("a second chapter named `{}`", file.name.value)));
        }
        let last = number + 1 == files.len();
        let begin = all.last().map_or(0, |c| c.end);
        let end = end(file, last, begin, lab, problems);
        let text = texts(&file.text, lab, library, problems, findings);
        all.push(Chapter { name: file.name.value.clone(), end, text });
    }
    all
}

/// The number of steps up to the chapter's end.
fn end(file: &ChapterFile, last: bool, begin: usize, lab: &Lab, problems: &mut Problems) -> usize {
    let all = lab.steps.len();
    let Some(until) = &file.until else {
        if !last {
            let problem = Problem::new(file.name.span, "a chapter that others follow says where it ends");
            problems.add(problem.help("add `until: STEP`, its last step"));
        }
        return all;
    };
    let inside = format!("{}/", until.value);
    let is_it = |name: &str| name == until.value || name.starts_with(&inside);
    let Some(end) = lab.steps.iter().rposition(|s| is_it(&s.name)).map(|index| index + 1) else {
        let mut steps: Vec<&str> = lab.steps.iter().filter_map(|s| s.name.split('/').next()).collect();
        steps.dedup();
        let help = meant(&until.value, steps.into_iter(), "Steps");
        problems.add(Problem::new(until.span, format!("the lab has no step `{}`", until.value)).help(help));
        return begin;
    };
    if end <= begin {
        let message = format!("the step `{}` belongs to a chapter above", until.value);
        problems.add(Problem::new(until.span, message));
    }
    if last && end < all {
        let message = format!("the steps after `{}` belong to no chapter", until.value);
        problems.add(Problem::new(until.span, message).help("the last chapter needs no `until`"));
    }
    end.max(begin)
}

fn texts(
    file: &TextFile,
    lab: &Lab,
    library: Library,
    problems: &mut Problems,
    findings: &mut Findings,
) -> BTreeMap<String, String> {
    let scope = scope::of(lab, &BTreeMap::new(), None);
    let render = |text: &str, span: Span, whole: bool, problems: &mut Problems| {
        if let Err((_, refusal)) = template::try_out(text, std::slice::from_ref(&scope)) {
            let line = refusal.line(text).filter(|_| whole);
            let span = line.map_or(span, |line| Span { line, column: 1, length: 1 });
            let help = "a chapter's text can name values, `nodes` and `lab`";
            problems.add(Problem::new(span, refusal.explain(text)).help(help));
        }
        template::render(text, &scope).unwrap_or_default()
    };
    match file {
        TextFile::Inline(texts) => texts
            .iter()
            .map(|(language, At { value, span })| (language.clone(), render(value, *span, false, problems)))
            .collect(),
        TextFile::From(from) => {
            let prefix = format!("{}.", from.value);
            let languages = library.names(&prefix, ".md");
            let mut all = BTreeMap::new();
            for language in languages.into_iter().filter(|l| is_language(l)) {
                let Some((shown, text)) = library.find(&format!("{prefix}{language}.md")) else { continue };
                let mut theirs = Problems::default();
                all.insert(language, render(&text, Span::default(), true, &mut theirs));
                findings.take(theirs, &shown, &text);
            }
            if all.is_empty() {
                let message = format!("there is no text `{}.en.md` or of another language in templates/", from.value);
                problems.add(Problem::new(from.span, message));
            }
            all
        }
    }
}
