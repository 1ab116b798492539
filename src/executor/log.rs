//! A step's output: whole lines, secrets masked, into a file per step and node and out as events.

use crate::error::{Context, Result};
use crate::event::{Event, Reporter, Stream};
use crate::paths::Paths;
use std::collections::VecDeque;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Lines kept of each stream for a failure's message.
const TAIL: usize = 12;
/// A line longer than this is handed on in pieces: a program that never ends its line must not fill the memory.
const MAX_LINE: usize = 64 << 10;

/// The file of a task's log.
pub fn log_path(logs: &Path, task: &str) -> PathBuf {
    let name: String =
        task.chars().map(|c| if c.is_ascii_alphanumeric() || "@-_".contains(c) { c } else { '.' }).collect();
    logs.join(format!("{name}.log"))
}

/// Takes a step's output as it comes.
pub struct StepLog {
    task: String,
    node: String,
    path: PathBuf,
    file: File,
    pending: [Vec<u8>; 2],
    tails: [VecDeque<String>; 2],
    secrets: Vec<String>,
    reporter: Reporter,
}

impl StepLog {
    /// A log for one try of a task on a node; an earlier one is replaced.
    pub fn create(logs: &Path, task: &str, node: &str, secrets: Vec<String>, reporter: &Reporter) -> Result<Self> {
        Paths::make_private(logs)?;
        let path = log_path(logs, task);
        // Another file, so that who follows the log sees that it begins anew.
        let _ = std::fs::remove_file(&path);
        let file = File::create(&path).context(|| format!("write {}", path.display()))?;
        let (pending, tails) = Default::default();
        let mut secrets = secrets;
        // The longer first, so that a secret within another leaves nothing of the outer one.
        secrets.sort_by_key(|s| std::cmp::Reverse(s.len()));
        let (task, node, reporter) = (task.to_owned(), node.to_owned(), reporter.clone());
        Ok(Self { task, node, path, file, pending, tails, secrets, reporter })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes a chunk, wherever it is cut.
    pub fn push(&mut self, stream: Stream, bytes: &[u8]) {
        let index = usize::from(stream == Stream::Err);
        self.pending[index].extend_from_slice(bytes);
        while let Some(end) = self.pending[index].iter().position(|b| *b == b'\n') {
            let line: Vec<u8> = self.pending[index].drain(..=end).collect();
            self.line(stream, &line[..end]);
        }
        if self.pending[index].len() > MAX_LINE + self.longest_secret() {
            // Masked before it is cut; what is kept back is as long as any secret, so that a part of one at the end is
            // seen together with its rest.
            let mut text = self.masked(&self.pending[index]).into_bytes();
            let rest = text.split_off(text.len().saturating_sub(self.longest_secret()));
            self.pending[index] = rest;
            self.line(stream, &text);
        }
    }

    /// Hands on what came without a last newline.
    pub fn finish(&mut self) {
        for stream in [Stream::Out, Stream::Err] {
            let rest = std::mem::take(&mut self.pending[usize::from(stream == Stream::Err)]);
            if !rest.is_empty() {
                self.line(stream, &rest);
            }
        }
    }

    /// The last lines of both streams, for a message.
    pub fn tail(&self) -> String {
        let part = |name: &str, lines: &VecDeque<String>| {
            let text: Vec<String> = lines.iter().map(|l| format!("    {name}| {l}")).collect();
            text.join("\n")
        };
        let parts = [part("out", &self.tails[0]), part("err", &self.tails[1])];
        parts.into_iter().filter(|p| !p.is_empty()).collect::<Vec<_>>().join("\n")
    }

    fn longest_secret(&self) -> usize {
        self.secrets.first().map_or(0, String::len)
    }

    fn masked(&self, bytes: &[u8]) -> String {
        masked(&String::from_utf8_lossy(bytes), &self.secrets)
    }

    fn line(&mut self, stream: Stream, line: &[u8]) {
        let text = self.masked(line).trim_end_matches('\r').to_owned();
        let name = if stream == Stream::Err { "err" } else { "out" };
        // A full disk must not end the step; its result is judged by its exit code.
        let _ = writeln!(self.file, "{name}| {text}");
        let tail = &mut self.tails[usize::from(stream == Stream::Err)];
        tail.push_back(text.clone());
        if tail.len() > TAIL {
            tail.pop_front();
        }
        let (task, node) = (self.task.clone(), Some(self.node.clone()));
        self.reporter.send(Event::Line { task, node, stream, line: text });
    }
}

/// The text without these secrets. One that has several lines is masked line by line too, but for the shortest, which
/// are nobody's secret.
pub fn masked(text: &str, secrets: &[String]) -> String {
    let mut parts: Vec<&str> =
        secrets.iter().flat_map(|s| std::iter::once(s.as_str()).chain(s.lines().filter(|l| l.len() >= 8))).collect();
    parts.retain(|part| !part.is_empty());
    parts.sort_by_key(|part| std::cmp::Reverse(part.len()));
    parts.into_iter().fold(text.to_owned(), |text, part| text.replace(part, "********"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn logged(chunks: &[&[u8]], secrets: &[&str]) -> String {
        let dir = tempfile::tempdir().unwrap();
        let secrets = secrets.iter().map(|s| (*s).to_owned()).collect();
        let mut log = StepLog::create(dir.path(), "join@n1", "n1", secrets, &Reporter::silent()).unwrap();
        for chunk in chunks {
            log.push(Stream::Out, chunk);
        }
        log.finish();
        std::fs::read_to_string(log.path()).unwrap()
    }

    #[test]
    fn lines_are_whole_and_the_last_one_counts() {
        assert_eq!(logged(&[b"a", b"b\nc", b"\r\nd"], &[]), "out| ab\nout| c\nout| d\n");
    }

    #[test]
    fn a_line_without_end_is_bounded_and_its_secret_masked() {
        let mut text = vec![b'x'; MAX_LINE - 3];
        text.extend_from_slice(b"hushhush");
        text.extend_from_slice(&vec![b'y'; MAX_LINE]);
        let text = logged(&[&text], &["hushhush"]);
        assert!(text.lines().count() > 1 && !text.contains("hush"));
    }

    proptest! {
        #[test]
        fn a_secret_is_masked_wherever_the_chunks_are_cut(cut in 0usize..30, second in 0usize..30) {
            let text = b"token abcdef.0123456789 end\n";
            let (a, b) = (cut.min(second).min(text.len()), cut.max(second).min(text.len()));
            let logged = logged(&[&text[..a], &text[a..b], &text[b..]], &["abcdef.0123456789"]);
            prop_assert_eq!(logged, "out| token ******** end\n");
        }
    }
}
