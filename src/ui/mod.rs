//! What the user sees of a run. Progress goes to stderr, facts to stdout.

mod plain;
mod table;
mod terminal;

pub use table::table;

use crate::event::{Event, Reporter};
use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Instant;

/// Prints events as they come.
pub struct Ui {
    shown: Arc<Shown>,
}

enum Shown {
    Plain(plain::Plain),
    Terminal(terminal::Terminal),
}

impl Ui {
    /// A display that suits stderr: lines that move on a terminal, plain lines with time elsewhere. `verbose` shows what
    /// the scripts print.
    pub fn new(verbose: bool) -> Self {
        let dumb = std::env::var("TERM").is_ok_and(|t| t == "dumb");
        let shown = if std::io::stderr().is_terminal() && !dumb {
            Shown::Terminal(terminal::Terminal::new(verbose))
        } else {
            Shown::Plain(plain::Plain::new(Box::new(std::io::stderr()), verbose, Instant::now()))
        };
        Self { shown: Arc::new(shown) }
    }

    /// Where a run sends its events.
    pub fn reporter(&self) -> Reporter {
        let shown = self.shown.clone();
        Reporter::new(move |event: Event| match &*shown {
            Shown::Plain(plain) => plain.event(&event),
            Shown::Terminal(terminal) => terminal.event(&event),
        })
    }

    /// Takes moving lines away; what is done stays.
    pub fn finish(&self) {
        if let Shown::Terminal(terminal) = &*self.shown {
            terminal.finish();
        }
    }
}

/// Seconds for people: "3.2s", "2m05s".
pub fn duration(millis: u64) -> String {
    let seconds = millis / 1000;
    if seconds < 60 {
        format!("{}.{}s", seconds, millis % 1000 / 100)
    } else {
        format!("{}m{:02}s", seconds / 60, seconds % 60)
    }
}
