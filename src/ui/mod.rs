//! What the user sees of a run. Progress goes to stderr, facts to stdout.

mod page;
mod plain;
mod rows;
mod style;
mod table;
mod terminal;

pub use page::page;
pub use style::{Choice, printable};
pub use table::table;

use crate::event::{Event, Reporter};
use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Instant;
use style::{Colour, Style};

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
    /// the scripts print. Colours are as the environment says.
    pub fn new(verbose: bool) -> Self {
        Self::coloured(verbose, Choice::Auto)
    }

    /// The same, with the user's choice of colours.
    pub fn coloured(verbose: bool, choice: Choice) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let style = Style::decide(choice, terminal, |name| std::env::var_os(name));
        // A dumb terminal cannot move its cursor.
        let dumb = std::env::var_os("TERM").is_some_and(|t| t == "dumb");
        let shown = if terminal && !dumb {
            Shown::Terminal(terminal::Terminal::new(verbose, style))
        } else {
            let begun = Instant::now();
            let clock = Box::new(move || begun.elapsed());
            Shown::Plain(plain::Plain::new(Box::new(std::io::stderr()), verbose, style, clock))
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

/// Whether facts on stdout are coloured: by the user's choice, else as the environment says.
pub fn stdout_is_coloured(choice: Choice) -> bool {
    let terminal = std::io::stdout().is_terminal();
    Style::decide(choice, terminal, |name| std::env::var_os(name)).is_coloured()
}

/// Columns of the terminal that facts go to; 120 where it is none.
pub fn stdout_columns() -> usize {
    let size = rustix::termios::tcgetwinsize(std::io::stdout());
    size.ok().map(|s| usize::from(s.ws_col)).filter(|c| *c > 0).unwrap_or(120)
}

/// Foreign text, each line without what could move the cursor or recolour the screen.
pub fn harmless(text: &str) -> String {
    text.lines().map(|l| style::printable(l) + "\n").collect()
}

/// "PASS" or "FAIL", coloured where that is wanted.
pub fn verdict(passed: bool, coloured: bool) -> String {
    let choice = if coloured { Choice::Always } else { Choice::Never };
    let style = Style::decide(choice, false, |_| None);
    if passed { style.paint(Colour::Good, "PASS") } else { style.paint(Colour::Bad, "FAIL") }
}

/// How long ago, for people: "12s ago", "3h ago".
pub fn ago(time: std::time::SystemTime) -> String {
    let seconds = time.elapsed().map_or(0, |d| d.as_secs());
    let (number, unit) = match seconds {
        0..60 => (seconds, "s"),
        60..3600 => (seconds / 60, "m"),
        3600..86_400 => (seconds / 3600, "h"),
        _ => (seconds / 86_400, "d"),
    };
    format!("{number}{unit} ago")
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

#[cfg(test)]
mod testing {
    use crate::event::{Event, Stream};

    /// A run with one event of each kind.
    pub fn run() -> Vec<Event> {
        let on = |node: &str| Some(node.to_owned());
        let progress = |task: &str, message: &str| Event::Progress { task: task.into(), message: message.into() };
        let (task, node, title) = ("ctr.init".to_owned(), on("flannel-ctr"), "init".to_owned());
        let line = "10%\r\x1b[32m[init] 100%\x1b[0m".to_owned();
        let why = "cannot boot on n2: its kernel panicked\n  hint: see console.log".to_owned();
        vec![
            Event::Note { message: "qemu, emulated".into() },
            Event::Started { task: task.clone(), node: node.clone(), title: title.clone() },
            Event::Started { task: "n2.boot".into(), node: on("n2"), title: "boot".into() },
            progress("ctr.init", "kube-apiserver (3 of 15)"),
            Event::Line { task: task.clone(), node: node.clone(), stream: Stream::Out, line },
            Event::Finished { task, node, title, millis: 65_300 },
            Event::Failed { task: "n2.boot".into(), node: on("n2"), title: "boot".into(), why },
            Event::Skipped { task: "n3.join".into(), node: on("n3"), title: "join".into(), why: "done before".into() },
            progress("stray", "still here"),
        ]
    }

    #[test]
    fn durations_are_short() {
        assert_eq!(
            [0, 3_299, 59_999, 60_000, 125_000].map(super::duration),
            ["0.0s", "3.2s", "59.9s", "1m00s", "2m05s"]
        );
    }
}
