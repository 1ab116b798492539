//! Every help screen as it is, so that a change of one is seen and read.

use crate::support::{Home, run};
use std::path::Path;

#[test]
fn help_screens_are_as_reviewed() {
    let home = Home::new();
    let help = |args: &[&str]| {
        let (out, err, code) = run(home.lab(&[args, &["--help"]].concat()));
        assert_eq!(code, Some(0), "{args:?}: {err}");
        out
    };
    let mut all = format!("$ lab --help\n{}", help(&[]));
    let first = help(&[]);
    let verbs = first.lines().skip_while(|l| *l != "Commands:").skip(1).take_while(|l| !l.is_empty());
    for verb in verbs.filter_map(|l| l.strip_prefix("  ").filter(|l| !l.starts_with(' '))) {
        let verb = verb.split_whitespace().next().unwrap();
        all += &format!("\n$ lab {verb} --help\n{}", help(&[verb]));
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/help.txt");
    if std::env::var_os("UPDATE_SCREENS").is_some() {
        std::fs::write(&path, &all).unwrap();
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(there == all, "tests/cli/help.txt is stale: UPDATE_SCREENS=1 cargo test --test cli screens, and read it");
}
