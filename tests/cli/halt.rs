//! `halt`, `reload`, and what is told of nodes that are not well.

use crate::support::{Home, run};

const LAB: &str = "\
lab: x
image: plain
nodes: {n1: {}, n2: {}}
steps:
  - {name: once, on: n1, run: 'echo done >> $HOME/trace'}
  - {name: ready, on: n1, check: {description: it is there, run: 'echo looked >> $HOME/looks'}}
  - {name: then, on: n1, run: 'echo then >> $HOME/trace'}
";

#[test]
fn a_halted_lab_goes_on_with_its_checks_and_does_nothing_twice() {
    let home = Home::new();
    home.file("lab.yaml", LAB);
    let (_, err, code) = run(home.lab(&["halt"]));
    assert_eq!(code, Some(2));
    assert!(err.contains("it does not exist"), "{err}");
    assert_eq!(run(home.lab(&["up", "--driver", "fake"])).2, Some(0));
    let (out, err, code) = run(home.lab(&["halt"]));
    assert_eq!(code, Some(0), "{err}");
    assert!(out.starts_with("x: halted (2 nodes), in ") && out.contains("`lab up x` starts it again"), "{out}");
    assert!(err.contains("n1") && err.contains("halt: done"), "{err}");
    assert_eq!(run(home.lab(&["status"])).0.matches("stopped").count(), 2);
    let (out, _, _) = run(home.lab(&["halt"]));
    assert!(out.starts_with("x: halted (0 nodes)"), "{out}");
    let (_, err, code) = run(home.lab(&["up"]));
    assert_eq!(code, Some(0), "{err}");
    let root = home.state().join("x/nodes/n1/root");
    assert_eq!(std::fs::read_to_string(root.join("trace")).unwrap(), "done\nthen\n");
    assert_eq!(std::fs::read_to_string(root.join("looks")).unwrap(), "looked\nlooked\n");
    let (_, _, code) = run(home.lab(&["reload", "--dry-run"]));
    assert_eq!(code, Some(2), "it stops nodes and has no way to only look");
    let (out, err, code) = run(home.lab(&["reload"]));
    assert_eq!(code, Some(0), "{err}");
    assert!(err.contains("x: halted (2 nodes)") && out.contains("x is up"), "{out}{err}");
    assert_eq!(std::fs::read_to_string(root.join("trace")).unwrap(), "done\nthen\n");
}

#[test]
fn what_the_host_knows_of_a_node_is_told_by_status_and_up() {
    let home = Home::new();
    let eats = LAB.replace("echo then >> $HOME/trace", "printf \"the kernel killed a process\" > $HOME/../trouble");
    home.file("lab.yaml", &eats);
    let (_, err, code) = run(home.lab(&["up", "--driver", "fake"]));
    assert_eq!(code, Some(0), "{err}");
    assert!(err.contains("n1: the kernel killed a process"), "{err}");
    let (out, _, _) = run(home.lab(&["status"]));
    assert!(out.contains("\nn1: the kernel killed a process\n"), "{out}");
}

#[test]
fn a_node_that_runs_and_does_not_answer_is_not_called_running() {
    let home = Home::new();
    home.file("lab.yaml", LAB);
    assert_eq!(run(home.lab(&["up", "--driver", "fake"])).2, Some(0));
    std::fs::write(home.state().join("x/nodes/n1/silent"), "").unwrap();
    let (out, err, code) = run(home.lab(&["status"]));
    assert_eq!(code, Some(0), "{err}");
    let state = |node: &str| out.lines().find(|l| l.starts_with(&format!("{node} "))).unwrap().to_owned();
    assert!(state("n1").contains("no answer") && state("n2").contains("running"), "{out}");
    assert!(
        out.contains("\nn1: it runs, but does not answer; it boots, hangs, or is far too busy: no answer within 5 s")
    );
    let (out, _, _) = run(home.lab(&["status", "--json"]));
    let facts: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&facts["nodes"][0]["state"], &facts["nodes"][1]["state"]), (&"no answer".into(), &"running".into()));
    let (out, _, _) = run(home.lab(&["plan"]));
    assert!(out.contains("it runs, but does not answer") && out.contains("\n2 of 5 tasks would run"), "{out}");
    let (_, err, code) = run(home.lab(&["ssh", "n1", "-c", "true"]));
    assert!(code == Some(1) && err.contains("lab logs --console --node n1; lab reload x"), "{err}");
    // It is stopped like any other, and then well again.
    assert_eq!(run(home.lab(&["reload"])).2, Some(0));
    assert_eq!(run(home.lab(&["status"])).0.matches("running").count(), 2);
}
