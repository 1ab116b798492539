//! Moving lines on a terminal: one per task under way, finished ones stay above.

use super::rows::{CUT, Rows, Stderr};
use super::style::{Colour, Style, printable};
use super::{duration, plain};
use crate::event::Event;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How often a spinner turns.
const TICK: Duration = Duration::from_millis(120);
/// Draws in a second at most.
const DRAWS: u8 = 20;

/// A display on a terminal.
pub struct Terminal {
    bars: MultiProgress,
    running: Mutex<HashMap<String, Running>>,
    /// Milliseconds that tasks took before.
    expected: Mutex<BTreeMap<String, u64>>,
    /// Prints a line that stays, while the moving ones are away.
    stay: Box<dyn Fn(&str) + Send + Sync>,
    verbose: bool,
    style: Style,
}

/// A task under way.
struct Running {
    bar: ProgressBar,
    label: String,
}

impl Terminal {
    /// A display on stderr.
    pub fn new(verbose: bool, style: Style) -> Self {
        let stay = |line: &str| {
            // When stderr is gone there is nobody left to tell.
            let _ = writeln!(std::io::stderr(), "{line}");
        };
        let target = ProgressDrawTarget::term_like_with_hz(Box::new(Rows::new(Stderr::default())), DRAWS);
        Self::on(target, Box::new(stay), verbose, style)
    }

    fn on(target: ProgressDrawTarget, stay: Box<dyn Fn(&str) + Send + Sync>, verbose: bool, style: Style) -> Self {
        let bars = MultiProgress::with_draw_target(target);
        Self { bars, running: Mutex::default(), expected: Mutex::default(), stay, verbose, style }
    }

    /// Shows the event.
    pub fn event(&self, event: &Event) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Started { task, node, title } => {
                if let Some(old) = running.insert(task.clone(), self.begin(task, label(node, title))) {
                    self.take_away(&old);
                }
            }
            Event::Progress { task, message } => {
                let now = running.entry(task.clone()).or_insert_with(|| self.begin(task, label(&None, task)));
                now.bar.set_message(format!("{}: {}", now.label, printable(message)));
            }
            Event::Finished { task, node, title, millis } => {
                let text = format!("{}  {}", label(node, title), duration(*millis));
                self.done(running.remove(task), Colour::Good, "✓", &text);
            }
            Event::Skipped { task, node, title, why } => {
                self.done(running.remove(task), Colour::Faint, "-", &format!("{}  {why}", label(node, title)));
            }
            Event::Failed { task, node, title, why } => {
                self.done(running.remove(task), Colour::Bad, "✗", &format!("{}  {why}", label(node, title)));
            }
            Event::Expected { tasks, .. } => {
                self.expected.lock().unwrap_or_else(PoisonError::into_inner).clone_from(tasks);
                if let Some(text) = plain::line(event, self.verbose, self.style) {
                    self.print(&text);
                }
            }
            Event::Line { .. } | Event::Note { .. } => {
                if let Some(text) = plain::line(event, self.verbose, self.style) {
                    self.print(&text);
                }
            }
        }
    }

    /// Clears what still moves.
    pub fn finish(&self) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        for (_, task) in running.drain() {
            self.take_away(&task);
        }
    }

    fn begin(&self, task: &str, label: String) -> Running {
        let bar = self.bars.add(ProgressBar::new_spinner());
        let expected = self.expected.lock().unwrap_or_else(PoisonError::into_inner).get(task).copied();
        let about = expected.filter(|millis| *millis >= plain::NOTABLE).map_or(String::new(), about);
        // `wide_msg` is cut to the width of each moment: a line never wraps.
        if let Ok(style) = ProgressStyle::with_template(&format!("{{spinner}} {{wide_msg}}{CUT}  {{elapsed}}{about}")) {
            bar.set_style(style);
        }
        bar.set_message(label.clone());
        bar.enable_steady_tick(TICK);
        Running { bar, label }
    }

    fn done(&self, task: Option<Running>, colour: Colour, mark: &str, text: &str) {
        if let Some(task) = task {
            self.take_away(&task);
        }
        self.print(&format!("{} {text}", self.style.paint(colour, mark)));
    }

    fn take_away(&self, task: &Running) {
        task.bar.finish_and_clear();
        self.bars.remove(&task.bar);
    }

    /// Not by indicatif's own `println`: it fills lines up to the width, and a window that becomes wider joins them.
    fn print(&self, text: &str) {
        self.bars.suspend(|| text.lines().for_each(|line| (self.stay)(line)));
    }
}

/// A forecast behind the time that went by, in whole seconds as that.
fn about(millis: u64) -> String {
    let seconds = millis.div_ceil(1000);
    if seconds < 60 { format!(" of ~{seconds}s") } else { format!(" of ~{}m{:02}s", seconds / 60, seconds % 60) }
}

fn label(node: &Option<String>, title: &str) -> String {
    format!("{:<12} {title}", node.as_deref().unwrap_or_default())
}

#[cfg(test)]
#[path = "terminal_tests.rs"]
mod tests;
