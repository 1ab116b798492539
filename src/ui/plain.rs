//! Plain lines with the time since the start, for pipes and CI logs.

use super::duration;
use crate::event::Event;
use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Writes one line per event.
pub struct Plain {
    out: Mutex<Box<dyn Write + Send>>,
    verbose: bool,
    begun: Instant,
}

impl Plain {
    /// A display on `out`.
    pub fn new(out: Box<dyn Write + Send>, verbose: bool, begun: Instant) -> Self {
        Self { out: Mutex::new(out), verbose, begun }
    }

    /// Writes the event's line, if it has one.
    pub fn event(&self, event: &Event) {
        let Some(text) = line(event, self.verbose) else { return };
        let elapsed = self.begun.elapsed().as_secs_f64();
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        for part in text.lines() {
            // A reader that went away must not end the run.
            let _ = writeln!(out, "{elapsed:7.1}s  {part}");
        }
    }
}

/// What an event says, without time; None when it says nothing at this verbosity.
pub fn line(event: &Event, verbose: bool) -> Option<String> {
    let at = |node: &Option<String>, rest: String| match node {
        Some(node) => format!("{node:<12}  {rest}"),
        None => rest,
    };
    Some(match event {
        Event::Started { node, title, .. } => at(node, format!("{title} ...")),
        Event::Progress { task, message } => format!("{task}: {message}"),
        Event::Line { node, line, .. } if verbose => at(node, format!("| {line}")),
        Event::Line { .. } => return None,
        Event::Finished { node, title, millis, .. } => at(node, format!("{title}: done in {}", duration(*millis))),
        Event::Skipped { node, title, why, .. } => at(node, format!("{title}: {why}")),
        Event::Failed { node, title, why, .. } => at(node, format!("{title}: FAILED: {why}")),
        Event::Note { message } => message.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Stream;

    #[test]
    fn says_what_happened_where() {
        let node = Some("n1".to_owned());
        let done = Event::Finished { task: "t".into(), node: node.clone(), title: "init".into(), millis: 65_300 };
        assert_eq!(line(&done, false).unwrap(), "n1            init: done in 1m05s");
        let output = Event::Line { task: "t".into(), node, stream: Stream::Out, line: "hi".into() };
        assert_eq!(line(&output, false), None);
        assert_eq!(line(&output, true).unwrap(), "n1            | hi");
    }
}
