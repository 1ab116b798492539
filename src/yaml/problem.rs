//! A problem in a source text, and how it is shown: as a compiler shows one.

use super::tree::Span;
use std::fmt::Write;

/// Characters of a source line that are shown before the place of a problem; after it, twice as many.
const AROUND: usize = 60;
/// Characters of a message that are shown: it may quote the file.
const MESSAGE: usize = 600;
/// Problems of one file that are shown.
const SHOWN: usize = 50;

/// What a terminal would take for a command is shown as a sign.
fn visible(c: char) -> char {
    if c.is_control() && c != '\t' { '\u{fffd}' } else { c }
}

fn short(text: String) -> String {
    let visible = |c| if c == '\n' { c } else { visible(c) };
    let mut shown: String = text.chars().take(MESSAGE).map(visible).collect();
    if text.chars().nth(MESSAGE).is_some() {
        shown.push('…');
    }
    shown
}

/// One thing that is wrong in a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    /// Where; the default span (line 0) means the file as a whole.
    pub span: Span,
    pub message: String,
    /// What is allowed, or what was probably meant.
    pub help: Option<String>,
}

impl Problem {
    /// A problem at this place.
    pub fn new(span: Span, message: impl Into<String>) -> Self {
        Self { span, message: short(message.into()), help: None }
    }

    /// The same problem, with help.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(short(help.into()));
        self
    }

    /// The message with file, line and column, the source line and a caret under the place.
    pub fn render(&self, file: &str, source: &str) -> String {
        let mut out = format!("error: {}\n", self.message);
        let Span { line, column, length } = self.span;
        if line == 0 {
            let _ = writeln!(out, " --> {file}");
        } else {
            let margin = " ".repeat(line.to_string().len());
            let _ = writeln!(out, "{margin}--> {file}:{line}:{column}");
            if let Some(text) = source.lines().nth(line - 1) {
                // Of a long line, what is around the place.
                let first = column.saturating_sub(1 + AROUND);
                let text: String = text.chars().skip(first).take(3 * AROUND).map(visible).collect();
                let column = column - first;
                // A tab keeps its width, so that the caret stands under its place.
                let pad: String = text.chars().take(column - 1).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
                let room = text.chars().count().saturating_sub(column - 1).max(1);
                let carets = "^".repeat(length.min(room));
                let _ = writeln!(out, "{margin} |\n{line} | {text}\n{margin} | {pad}{carets}");
            }
        }
        if let Some(help) = &self.help {
            let _ = writeln!(out, "  = help: {help}");
        }
        out
    }
}

/// All problems of one file, in the order they were found.
#[derive(Debug, Default)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    /// Adds one.
    pub fn add(&mut self, problem: Problem) {
        self.0.push(problem);
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them as shown to the user, in the order of the file.
    pub fn render(&self, file: &str, source: &str) -> String {
        let mut sorted: Vec<&Problem> = self.0.iter().collect();
        sorted.sort_by_key(|p| (p.span.line, p.span.column));
        let mut texts: Vec<String> = sorted.iter().take(SHOWN).map(|p| p.render(file, source)).collect();
        if sorted.len() > SHOWN {
            texts.push(format!("and {} more like these\n", sorted.len() - SHOWN));
        }
        texts.join("\n")
    }
}

/// Nobody mistypes a longer name.
const LONGEST_NAME: usize = 100;

/// The candidate that was probably meant: nearest by edits, and near enough to be no guess.
pub fn closest<'a>(given: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if given.len() > LONGEST_NAME {
        return None;
    }
    let limit = (given.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|c| (edits(given, c), c))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, c)| c)
}

/// Edits from `a` to `b`, a swap of neighbours counting as one (optimal string alignment).
fn edits(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0usize; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    rows[0] = (0..=b.len()).collect();
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let change = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = change.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_the_line_and_a_caret() {
        let span = Span { line: 2, column: 3, length: 4 };
        let text =
            Problem::new(span, "unknown key `cpuz`").help("did you mean `cpus`?").render("l.yaml", "a:\n  cpuz: 1\n");
        assert_eq!(
            text,
            "error: unknown key `cpuz`\n --> l.yaml:2:3\n  |\n2 |   cpuz: 1\n  |   ^^^^\n  = help: did you mean `cpus`?\n"
        );
    }

    #[test]
    fn finds_what_was_meant() {
        assert_eq!(closest("memroy", ["cpus", "memory"]), Some("memory"));
        assert_eq!(closest("xyz", ["cpus", "memory"]), None);
    }
}
