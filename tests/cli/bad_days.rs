//! The host lacks something, a step fails, the user presses Ctrl-C, the lab file is gone.

use crate::support::{Home, run};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

const LAB: &str = "\
lab: x
image: plain
networks: {lan: {kind: host-only, subnet: 192.168.20.0/24}}
nodes:
  n1: {networks: {lan: 192.168.20.11}}
  n2: {networks: {lan: 192.168.20.12}}
";

#[test]
fn without_qemu_nothing_is_changed_and_the_command_is_said() {
    let home = Home::new();
    let mut lab = home.lab(&["up", "two-nodes", "--driver", "qemu"]);
    lab.env("PATH", home.path());
    let (_, err, code) = run(lab);
    assert_eq!(code, Some(3), "{err}");
    assert!(err.contains("qemu-system-x86_64 is not installed") && err.contains("install"), "{err}");
    assert!(!home.state().join("two-nodes").exists() && !home.path().join("cache").exists());
}

#[test]
fn too_little_memory_is_found_before_anything_is_made() {
    let home = Home::new();
    let file = home.file("big.yaml", &LAB.replace("n1: {", "n1: {memory: 9000GiB, "));
    let (_, err, code) = run(home.lab(&["up", file.to_str().unwrap(), "--driver", "qemu"]));
    assert_eq!(code, Some(3), "{err}");
    assert!(err.contains("n1 9000.0 GiB"), "{err}");
    assert!(!home.state().join("x").exists() && !home.path().join("cache").exists());
}

#[test]
fn offline_names_what_is_missing_and_the_verb_that_fetches_it() {
    let home = Home::new();
    let (_, err, code) = run(home.lab(&["up", "two-nodes", "--driver", "qemu", "--offline"]));
    if err.contains("is not installed") {
        // A host without QEMU says that first.
        assert_eq!(code, Some(3));
        return;
    }
    assert_eq!(code, Some(1), "{err}");
    assert!(err.contains("the image plain is not in the cache") && err.contains("lab image build plain"), "{err}");
}

#[test]
fn a_failing_step_says_everything_and_up_goes_on_there() {
    let home = Home::new();
    let steps = "steps:\n  - {name: one, on: n1, run: 'echo first >> $HOME/trace'}\n  - name: two\n    on: n1\n    hint: make the file ok\n    run: |\n      echo some output\n      echo what went wrong >&2\n      test -e $HOME/ok || exit 7\n      echo second >> $HOME/trace\n";
    home.file("lab.yaml", &format!("{LAB}{steps}"));
    let (_, err, code) = run(home.lab(&["up", "--driver", "fake"]));
    assert_eq!(code, Some(1));
    for part in [
        "run the step two on n1",
        "exit code 7",
        "out| some output",
        "err| what went wrong",
        "make the file ok",
        "logs/two@n1.log",
        "lab ssh n1",
        "lab up x",
    ] {
        assert!(err.contains(part), "{part} in {err}");
    }
    let root = home.state().join("x/nodes/n1/root");
    std::fs::write(root.join("ok"), "").unwrap();
    let (_, err, code) = run(home.lab(&["up", "--driver", "fake"]));
    assert_eq!(code, Some(0), "{err}");
    assert_eq!(std::fs::read_to_string(root.join("trace")).unwrap(), "first\nsecond\n", "the first step ran once");
}

#[test]
fn ctrl_c_leaves_the_node_and_its_step_and_the_next_up_finds_both() {
    let home = Home::new();
    // The step waits for a file that the test makes: no time is involved.
    let steps = "steps:\n  - {name: long, on: n1, run: 'echo run >> $HOME/runs; until test -e $HOME/go; do read -rt 0.05 <> <(:) || :; done; echo end'}\n";
    let file = home.file("lab.yaml", &format!("{LAB}{steps}"));
    let mut child = Command::new(assert_cmd::cargo::cargo_bin("lab"))
        .args(["-v", "up", "--driver", "fake"])
        .current_dir(file.parent().unwrap())
        .env("LAB_STATE_DIR", home.state())
        .env("LAB_RUN_DIR", home.path().join("run"))
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    lines.find(|l| l.as_ref().unwrap().contains("long ...")).unwrap().unwrap();
    let runs = home.state().join("x/nodes/n1/root/runs");
    while !runs.exists() {
        std::thread::yield_now();
    }
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    lines.find(|l| l.as_ref().unwrap().contains("stopping:")).unwrap().unwrap();
    // The second time it does not wait for the step.
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(130));
    let (out, _, _) = run(home.lab(&["status", "x"]));
    assert!(out.contains("running") && out.contains("begun and not finished: long@n1"), "{out}");
    std::fs::write(home.state().join("x/nodes/n1/root/go"), "").unwrap();
    let (_, err, code) = run(home.lab(&["up", "--driver", "fake"]));
    assert_eq!(code, Some(0), "{err}");
    assert!(err.contains("an earlier run is still there; attached to it"), "{err}");
    assert_eq!(std::fs::read_to_string(runs).unwrap(), "run\n", "it was never started a second time");
}

#[test]
fn destroy_needs_no_lab_file_and_can_be_said_twice() {
    let home = Home::new();
    let file = home.file("lab.yaml", &format!("{LAB}steps: []\n"));
    assert_eq!(run(home.lab(&["up", "--driver", "fake"])).2, Some(0));
    std::fs::remove_file(file).unwrap();
    let (_, err, code) = run(home.lab(&["destroy"]));
    assert_eq!(code, Some(2), "without a terminal it does not ask: {err}");
    assert!(err.contains("lab destroy x -f"), "{err}");
    let (out, err, code) = run(home.lab(&["destroy", "-f"]));
    assert_eq!(code, Some(0), "{err}");
    assert!(out.starts_with("x: destroyed (n1, n2)"), "{out}");
    assert_eq!(std::fs::read_dir(home.state()).unwrap().count(), 0);
    let (out, _, code) = run(home.lab(&["destroy", "-f", "x"]));
    assert_eq!((out.as_str(), code), ("x: nothing to destroy\n", Some(0)));
}

#[test]
fn a_damaged_record_does_not_stop_destroy() {
    let home = Home::new();
    home.file("lab.yaml", &format!("{LAB}steps: []\n"));
    assert_eq!(run(home.lab(&["up", "--driver", "fake"])).2, Some(0));
    std::fs::write(home.state().join("x/lab.json"), "{half").unwrap();
    let (_, err, code) = run(home.lab(&["status", "x"]));
    assert_eq!(code, Some(1));
    assert!(err.contains("`lab destroy x` still removes everything"), "{err}");
    let (_, err, code) = run(home.lab(&["destroy", "-f", "x"]));
    assert_eq!(code, Some(0), "{err}");
    assert!(!home.state().join("x").exists());
}

#[test]
fn an_answer_that_could_not_be_written_is_no_success_and_a_reader_that_has_enough_is() {
    let home = Home::new();
    let lab = || {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin("lab"));
        command.args(["schema"]).current_dir(home.path()).stderr(Stdio::piped());
        command
    };
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let output = lab().stdout(full).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && said.contains("cannot write the answer: No space left"), "{said}");
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    assert_eq!(lab().stdout(writer).output().unwrap().status.code(), Some(0));
}
