//! Plain lines with the time since the start, for pipes and CI logs.

use super::duration;
use super::style::{Colour, Style, printable};
use crate::event::Event;
use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// From how many milliseconds on a task's time is foretold.
pub const NOTABLE: u64 = 2000;

/// The time since the start.
pub type Clock = Box<dyn Fn() -> Duration + Send + Sync>;

/// Writes one line per event.
pub struct Plain {
    inner: Mutex<Inner>,
    verbose: bool,
    style: Style,
    clock: Clock,
}

struct Inner {
    out: Box<dyn Write + Send>,
    /// What the tasks under way are called: progress names only the task.
    running: HashMap<String, String>,
    /// Milliseconds that tasks took before.
    expected: BTreeMap<String, u64>,
}

impl Plain {
    /// A display on `out`.
    pub fn new(out: Box<dyn Write + Send>, verbose: bool, style: Style, clock: Clock) -> Self {
        Self {
            inner: Mutex::new(Inner { out, running: HashMap::new(), expected: BTreeMap::new() }),
            verbose,
            style,
            clock,
        }
    }

    /// Writes the event's line, if it has one.
    pub fn event(&self, event: &Event) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let text = match event {
            Event::Started { task, node, title } => {
                inner.running.insert(task.clone(), label(node, title));
                // What takes no time needs no forecast.
                let about = inner.expected.get(task).filter(|millis| **millis >= NOTABLE);
                let about = about.map_or(String::new(), |millis| format!(" (about {})", duration(*millis)));
                line(event, self.verbose, self.style).map(|text| text + &about)
            }
            Event::Progress { task, message } => {
                let known = inner.running.get(task).unwrap_or(task);
                Some(format!("{known}: {}", printable(message)))
            }
            Event::Finished { task, .. } | Event::Skipped { task, .. } | Event::Failed { task, .. } => {
                inner.running.remove(task);
                line(event, self.verbose, self.style)
            }
            Event::Expected { tasks, .. } => {
                inner.expected = tasks.clone();
                line(event, self.verbose, self.style)
            }
            Event::Line { .. } | Event::Note { .. } => line(event, self.verbose, self.style),
        };
        let elapsed = (self.clock)().as_secs_f64();
        for part in text.iter().flat_map(|t| t.lines()) {
            // A reader that went away must not end the run.
            let _ = writeln!(inner.out, "{elapsed:7.1}s  {part}");
        }
    }
}

/// What an event says, without time; None when it says nothing at this verbosity.
pub fn line(event: &Event, verbose: bool, style: Style) -> Option<String> {
    Some(match event {
        Event::Started { node, title, .. } => format!("{} ...", label(node, title)),
        Event::Progress { task, message } => format!("{task}: {}", printable(message)),
        Event::Line { node, line, .. } if verbose => label(node, &format!("| {}", printable(line))),
        Event::Line { .. } => return None,
        Event::Finished { node, title, millis, .. } => {
            let done = style.paint(Colour::Good, "done");
            format!("{}: {done} in {}", label(node, title), duration(*millis))
        }
        Event::Skipped { node, title, why, .. } => format!("{}: {why}", label(node, title)),
        Event::Failed { node, title, why, .. } => {
            format!("{}: {}: {why}", label(node, title), style.paint(Colour::Bad, "FAILED"))
        }
        Event::Expected { whole, .. } => format!("about {}, as in earlier runs here", duration(*whole)),
        Event::Note { message } => message.clone(),
    })
}

/// Node and title in columns.
pub fn label(node: &Option<String>, title: &str) -> String {
    match node {
        Some(node) => format!("{node:<12}  {title}"),
        None => title.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::style::Choice;
    use super::super::testing;
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// What a run of a few events prints; each event comes 4.1 s after the one before.
    fn printed(verbose: bool, choice: Choice) -> String {
        let kept = Kept::default();
        let ticks = AtomicU64::new(0);
        let clock = move || Duration::from_millis(4100 * ticks.fetch_add(1, Ordering::Relaxed));
        let style = Style::decide(choice, false, |_| None);
        let plain = Plain::new(Box::new(kept.clone()), verbose, style, Box::new(clock));
        testing::run().iter().for_each(|e| plain.event(e));
        String::from_utf8(kept.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn a_run_as_lines() {
        let expected = "    0.0s  qemu, emulated
    4.1s  flannel-ctr   init ...
    8.2s  n2            boot ...
   12.3s  flannel-ctr   init: kube-apiserver (3 of 15)
   20.5s  flannel-ctr   init: done in 1m05s
   24.6s  n2            boot: FAILED: cannot boot on n2: its kernel panicked
   24.6s    hint: see console.log
   28.7s  n3            join: done before
   32.8s  stray: still here
";
        assert_eq!(printed(false, Choice::Auto), expected);
    }

    #[test]
    fn what_took_long_before_is_foretold() {
        let kept = Kept::default();
        let style = Style::decide(Choice::Never, false, |_| None);
        let plain = Plain::new(Box::new(kept.clone()), false, style, Box::new(|| Duration::ZERO));
        plain.event(&Event::Expected { tasks: [("ctr.init".to_owned(), 5_300)].into(), whole: 9_000 });
        plain.event(&testing::run()[1]);
        let text = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
        let expected = "    0.0s  about 9.0s, as in earlier runs here\n    0.0s  flannel-ctr   init ... (about 5.3s)\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn scripts_are_heard_when_verbose_and_cannot_colour() {
        assert!(printed(true, Choice::Auto).contains("   16.4s  flannel-ctr   | [init] 100%\n"));
        let painted = printed(false, Choice::Always);
        assert!(painted.contains("\x1b[32mdone\x1b[0m in") && painted.contains("\x1b[31mFAILED\x1b[0m: "));
    }
}
