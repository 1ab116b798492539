//! Moving lines on a terminal: one per task under way, finished ones stay above.

use super::{duration, plain};
use crate::event::Event;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How often a spinner turns.
const TICK: Duration = Duration::from_millis(120);

/// A display on stderr.
pub struct Terminal {
    bars: MultiProgress,
    running: Mutex<HashMap<String, ProgressBar>>,
    verbose: bool,
    colour: bool,
}

impl Terminal {
    /// A display with colour unless NO_COLOR is set.
    pub fn new(verbose: bool) -> Self {
        let colour = std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
        Self { bars: MultiProgress::new(), running: Mutex::default(), verbose, colour }
    }

    /// Shows the event.
    pub fn event(&self, event: &Event) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Started { task, node, title } => {
                let bar = self.bar();
                bar.set_message(label(node, title));
                running.insert(task.clone(), bar);
            }
            Event::Progress { task, message } => {
                let bar = running.entry(task.clone()).or_insert_with(|| self.bar());
                bar.set_message(label(&None, &format!("{task}: {message}")));
            }
            Event::Finished { task, node, title, millis } => {
                self.done(running.remove(task), "✓", 32, &format!("{}  {}", label(node, title), duration(*millis)));
            }
            Event::Skipped { task, node, title, why } => {
                self.done(running.remove(task), "-", 2, &format!("{}  {why}", label(node, title)));
            }
            Event::Failed { task, node, title, why } => {
                self.done(running.remove(task), "✗", 31, &format!("{}  {why}", label(node, title)));
            }
            Event::Line { .. } | Event::Note { .. } => {
                if let Some(text) = plain::line(event, self.verbose) {
                    self.print(&text);
                }
            }
        }
    }

    /// Clears what still moves.
    pub fn finish(&self) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        for (_, bar) in running.drain() {
            bar.finish_and_clear();
        }
    }

    fn bar(&self) -> ProgressBar {
        let bar = self.bars.add(ProgressBar::new_spinner());
        if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg} {elapsed:>5}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(TICK);
        bar
    }

    fn done(&self, bar: Option<ProgressBar>, mark: &str, colour: u8, text: &str) {
        if let Some(bar) = bar {
            bar.finish_and_clear();
            self.bars.remove(&bar);
        }
        let mark = if self.colour { format!("\x1b[{colour}m{mark}\x1b[0m") } else { mark.to_owned() };
        self.print(&format!("{mark} {text}"));
    }

    fn print(&self, text: &str) {
        // When stderr is gone there is nobody left to tell.
        let _ = self.bars.println(text);
    }
}

fn label(node: &Option<String>, title: &str) -> String {
    match node {
        Some(node) => format!("{node:<12} {title}"),
        None => format!("{:<12} {title}", ""),
    }
}
