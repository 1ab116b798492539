//! What a user sees and types on a terminal.

use crate::pty::Pty;
use crate::support::Home;

const LAB: &str = "\
lab: x
image: plain
networks: {lan: {kind: host-only, subnet: 192.168.20.0/24}}
nodes:
  n1: {networks: {lan: 192.168.20.11}}
steps:
  - {name: quick, run: 'true'}
  - {name: a-step-that-waits-for-its-user, run: 'until [ -e $HOME/go ]; do sleep 0.05; done'}
";

fn up(home: &Home, columns: u16) -> Pty {
    home.file("lab.yaml", LAB);
    let mut pty = Pty::start(&home.lab(&["up", "--driver", "fake"]), columns, 24);
    pty.wait_for("a-step-that-waits");
    pty
}

/// The printed lines without colours and cursor movements.
fn lines(seen: &str) -> Vec<String> {
    let mut text = String::new();
    let mut chars = seen.chars();
    while let Some(c) = chars.next() {
        match c {
            '\x1b' => {
                chars.by_ref().skip(1).find(|c| c.is_ascii_alphabetic());
            }
            '\r' => text.push('\n'),
            c => text.push(c),
        }
    }
    text.lines().map(|l| l.trim_end().to_owned()).filter(|l| !l.is_empty()).collect()
}

/// The lines that begin with a spinner.
fn moving(lines: &[String]) -> Vec<String> {
    lines.iter().filter(|l| l.starts_with(|c: char| ('\u{2800}'..'\u{28ff}').contains(&c))).cloned().collect()
}

#[test]
fn progress_moves_within_the_width_and_what_is_done_stays() {
    let home = Home::new();
    let mut pty = up(&home, 40);
    assert!(pty.seen.contains("\x1b[32m✓\x1b[0m n1"), "{:?}", pty.seen);
    pty.resize(24, 24);
    // A draw that was under way is still wide; a later one is not.
    while !moving(&lines(&pty.seen)).iter().any(|l| l.chars().count() <= 24) {
        pty.wait_for("n1");
    }
    std::fs::write(home.state().join("x/nodes/n1/root/go"), "").unwrap();
    let status = pty.end();
    assert!(status.success(), "{}", pty.seen);
    let all = lines(&pty.seen);
    let moving = moving(&all);
    assert!(!moving.is_empty() && moving.iter().all(|l| l.chars().count() <= 40), "{all:?}");
    assert_eq!(all.iter().filter(|l| l.starts_with("✓ n1           quick")).count(), 1, "{all:?}");
    assert!(all.iter().any(|l| l.starts_with("x is up, in ")), "{all:?}");
    assert!(all.iter().any(|l| l.trim() == "lab ssh n1"), "{all:?}");
}

#[test]
fn ctrl_c_ends_it_says_what_goes_on_and_leaves_the_terminal_as_it_was() {
    let home = Home::new();
    let mut pty = up(&home, 80);
    pty.type_in("\x03");
    pty.wait_for("again to stop at once");
    pty.type_in("\x03");
    let status = pty.end();
    assert_eq!(status.code(), Some(130), "{}", pty.seen);
    assert!(pty.is_cooked());
    let all = lines(&pty.seen);
    assert!(all.iter().any(|l| l.contains("interrupted; nodes stay")), "{all:?}");
    assert!(all.iter().any(|l| l.contains("`lab up x` goes on")), "{all:?}");
    // The step on the fake node is a process of this host: it must not outlive the test.
    std::fs::write(home.state().join("x/nodes/n1/root/go"), "").unwrap();
}
