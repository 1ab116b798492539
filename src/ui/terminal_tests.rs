use super::super::style::Choice;
use super::super::testing;
use super::*;
use indicatif::TermLike;
use std::io::Result;
use std::sync::Arc;

/// A screen that keeps all its lines, with a width that can change.
#[derive(Debug, Clone)]
struct Screen(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    lines: Vec<Vec<char>>,
    /// The rows that run over into the next.
    over: Vec<usize>,
    row: usize,
    column: usize,
    width: u16,
}

impl State {
    /// Writes one character; a full row wraps when the next one comes, as terminals do.
    fn put(&mut self, c: char) {
        if self.column >= usize::from(self.width) {
            self.over.push(self.row);
            (self.row, self.column) = (self.row + 1, 0);
        }
        while self.lines.len() <= self.row {
            self.lines.push(Vec::new());
        }
        let line = &mut self.lines[self.row];
        if line.len() <= self.column {
            line.resize(self.column + 1, ' ');
        }
        line[self.column] = c;
        self.column += 1;
    }

    /// A window of another width: what ran over is joined and wrapped anew, and the cursor goes with it.
    fn resize(&mut self, width: u16) {
        let (mut lines, mut row, mut joined) = (Vec::new(), 0, Vec::new());
        for number in 0..self.lines.len() {
            joined.extend_from_slice(&self.lines[number]);
            if !self.over.contains(&number) {
                let parts = joined.chunks(usize::from(width)).map(<[char]>::to_vec);
                lines.extend(if joined.is_empty() { vec![Vec::new()] } else { parts.collect() });
                joined.clear();
            }
            if number == self.row {
                row = lines.len().saturating_sub(1);
            }
        }
        (self.lines, self.row, self.width) = (lines, row, width);
        self.over.clear();
    }
}

impl Screen {
    fn new(width: u16) -> Self {
        let lines = vec![Vec::new()];
        Self(Arc::new(Mutex::new(State { lines, over: Vec::new(), row: 0, column: 0, width })))
    }

    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> Result<T> {
        Ok(change(&mut self.0.lock().unwrap()))
    }

    fn text(&self) -> String {
        let lines = self.0.lock().unwrap().lines.clone();
        let lines: Vec<String> = lines.into_iter().map(|l| l.into_iter().collect::<String>()).collect();
        lines.iter().map(|l| l.trim_end()).filter(|l| !l.is_empty()).collect::<Vec<_>>().join("\n")
    }
}

impl TermLike for Screen {
    fn width(&self) -> u16 {
        self.0.lock().unwrap().width
    }

    fn move_cursor_up(&self, n: usize) -> Result<()> {
        self.with(|s| s.row = s.row.saturating_sub(n))
    }

    fn move_cursor_down(&self, n: usize) -> Result<()> {
        self.with(|s| s.row += n)
    }

    fn move_cursor_right(&self, n: usize) -> Result<()> {
        self.with(|s| s.column += n)
    }

    fn move_cursor_left(&self, n: usize) -> Result<()> {
        self.with(|s| s.column = s.column.saturating_sub(n))
    }

    fn write_line(&self, text: &str) -> Result<()> {
        self.write_str(text)?;
        self.write_str("\n")
    }

    fn write_str(&self, text: &str) -> Result<()> {
        self.with(|s| {
            for c in text.chars() {
                match c {
                    '\r' => s.column = 0,
                    '\n' => (s.row, s.column) = (s.row + 1, 0),
                    c => s.put(c),
                }
            }
        })
    }

    fn clear_line(&self) -> Result<()> {
        self.with(|s| {
            s.column = 0;
            let row = s.row;
            if let Some(line) = s.lines.get_mut(row) {
                line.clear();
            }
        })
    }

    fn flush(&self) -> Result<()> {
        Ok(())
    }
}

fn terminal(width: u16) -> (Screen, Terminal) {
    let screen = Screen::new(width);
    let target = ProgressDrawTarget::term_like(Box::new(Rows::new(screen.clone())));
    let stay = screen.clone();
    let stay = Box::new(move |line: &str| stay.write_line(line).unwrap());
    (screen, Terminal::on(target, stay, false, Style::decide(Choice::Never, true, |_| None)))
}

#[test]
fn running_tasks_move_and_keep_their_names() {
    let (screen, terminal) = terminal(80);
    testing::run()[..4].iter().for_each(|e| terminal.event(e));
    let text = screen.text();
    assert!(text.starts_with("qemu, emulated\n"), "{text}");
    assert!(text.contains("flannel-ctr  init: kube-apiserver (3 of 15)"), "{text}");
    assert!(text.contains("n2           boot"), "{text}");
    assert_eq!(text.lines().count(), 3, "{text}");
}

#[test]
fn what_ended_stays_and_what_moved_goes() {
    let (screen, terminal) = terminal(80);
    testing::run().iter().for_each(|e| terminal.event(e));
    terminal.finish();
    let expected = "qemu, emulated
✓ flannel-ctr  init  1m05s
✗ n2           boot  cannot boot on n2: its kernel panicked
  hint: see console.log
- n3           join  done before";
    assert_eq!(screen.text(), expected);
}

/// The screen when it has this many lines. It is drawn by a thread of its own, at most twenty times a second, and line by
/// line: a draw is waited for.
fn settled(screen: &Screen, lines: usize) -> String {
    let limit = std::time::Instant::now() + Duration::from_secs(30);
    loop {
        let text = screen.text();
        if text.lines().count() == lines || std::time::Instant::now() > limit {
            return text;
        }
        std::thread::yield_now();
    }
}

#[test]
fn a_line_is_cut_to_the_width_of_the_moment() {
    let (screen, terminal) = terminal(80);
    let started = |task: &str| Event::Started { task: task.into(), node: Some("n1".into()), title: "init".into() };
    terminal.event(&started("a"));
    screen.with(|s| s.width = 30).unwrap();
    let message = "a message much longer than thirty columns".to_owned();
    terminal.event(&Event::Progress { task: "a".into(), message });
    terminal.event(&started("b"));
    let text = settled(&screen, 2);
    assert_eq!(text.lines().count(), 2, "{text}");
    assert!(text.lines().all(|l| l.chars().count() <= 30) && text.contains("init: a m"), "{text}");
    terminal.finish();
    assert_eq!(screen.text(), "");
}

#[test]
fn what_took_long_before_is_foretold() {
    let (screen, terminal) = terminal(60);
    let tasks = [("a".to_owned(), 65_000), ("b".to_owned(), 900)].into();
    terminal.event(&Event::Expected { tasks, whole: 65_900 });
    for task in ["a", "b"] {
        terminal.event(&Event::Started { task: task.into(), node: Some("n1".into()), title: task.into() });
    }
    let text = settled(&screen, 3);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "about 1m05s, as in earlier runs here");
    assert!(lines[1].ends_with(" of ~1m05s") && !lines[2].contains('~'), "{text}");
    assert!(lines.iter().all(|l| l.chars().count() <= 60), "{text}");
}

#[test]
fn a_window_that_becomes_wider_keeps_what_is_done() {
    let (screen, terminal) = terminal(40);
    let started = |task: &str| Event::Started { task: task.into(), node: Some("n1".into()), title: task.into() };
    for line in ["first", "second", "third"] {
        terminal.event(&Event::Note { message: line.into() });
    }
    ["a", "b", "c", "d"].iter().for_each(|task| terminal.event(&started(task)));
    screen.with(|s| s.resize(160)).unwrap();
    terminal.event(&Event::Progress { task: "a".into(), message: "half".into() });
    terminal.event(&started("e"));
    let text = settled(&screen, 8);
    assert!(text.starts_with("first\nsecond\nthird\n"), "{text}");
    assert_eq!(text.lines().count(), 8, "{text}");
    terminal.finish();
    assert_eq!(screen.text(), "first\nsecond\nthird");
}
