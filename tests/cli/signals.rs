//! The first signal lets what is under way end, the second does not; a builder that is killed takes its tools along.

use crate::support::Home;
use lab::state::process::ProcessId;
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader, Lines};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Duration;

const LAB: &str = "\
lab: x
image: plain
networks: {lan: {kind: host-only, subnet: 192.168.20.0/24}}
nodes:
  n1: {networks: {lan: 192.168.20.11}}
steps:
  - {name: first, run: 'echo one >> $HOME/trace; until test -e $HOME/go; do sleep 0.02; done; echo end >> $HOME/trace'}
  - {name: second, run: 'echo two >> $HOME/trace'}
";

fn lab(home: &Home, args: &[&str]) -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin("lab"));
    command.args(args).current_dir(home.path()).env("LAB_STATE_DIR", home.state()).stdin(Stdio::null());
    command.env("LAB_RUN_DIR", home.path().join("run")).env("LAB_CACHE_DIR", home.path().join("cache"));
    command
}

/// An `up` whose first step runs and waits for a file.
fn up(home: &Home) -> (Child, Lines<BufReader<ChildStderr>>) {
    let mut child =
        lab(home, &["-v", "up", "--driver", "fake"]).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    while !trace(home).contains("one") {
        std::thread::yield_now();
    }
    (child, lines)
}

fn trace(home: &Home) -> String {
    std::fs::read_to_string(home.state().join("x/nodes/n1/root/trace")).unwrap_or_default()
}

fn told(lines: &mut Lines<BufReader<ChildStderr>>, part: &str) {
    lines.find(|l| l.as_ref().unwrap().contains(part)).unwrap().unwrap();
}

fn status(home: &Home) -> String {
    String::from_utf8(lab(home, &["status", "x"]).output().unwrap().stdout).unwrap()
}

#[test]
fn what_is_under_way_may_end_and_nothing_new_is_begun() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let home = Home::new();
        home.file("lab.yaml", LAB);
        let (mut child, mut lines) = up(&home);
        kill_process(Pid::from_child(&child), signal).unwrap();
        told(&mut lines, "stopping:");
        std::fs::write(home.state().join("x/nodes/n1/root/go"), "").unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(130), "{signal:?}");
        assert_eq!(trace(&home), "one\nend\n");
        assert!(status(&home).contains("steps: 1 done\n"), "{}", status(&home));
        let again = lab(&home, &["up"]).output().unwrap();
        assert!(again.status.success());
        assert_eq!(trace(&home), "one\nend\ntwo\n", "each step ran once");
        assert!(lab(&home, &["destroy", "-f"]).output().unwrap().status.success());
    }
}

#[test]
fn a_terminal_that_is_closed_is_no_panic() {
    let home = Home::new();
    home.file("lab.yaml", LAB);
    let (mut child, lines) = up(&home);
    // Nobody reads any more: every write fails from now on.
    drop(lines);
    kill_process(Pid::from_child(&child), Signal::HUP).unwrap();
    std::fs::write(home.state().join("x/nodes/n1/root/go"), "").unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(lab(&home, &["destroy", "-f"]).output().unwrap().status.success());
}

#[test]
fn a_second_writer_is_refused_and_told_who_works_and_readers_are_not_held_up() {
    let home = Home::new();
    home.file("lab.yaml", LAB);
    let (mut child, mut lines) = up(&home);
    assert!(status(&home).contains("begun and not finished: first@n1"));
    for verb in [&["up"][..], &["destroy", "-f"]] {
        let output = lab(&home, verb).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(&format!("process {}", child.id())) && said.contains("-v up"), "{said}");
    }
    // A `destroy` beside an `up` that is told to end waits for it.
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    told(&mut lines, "stopping:");
    let destroy = lab(&home, &["destroy", "-f"]).spawn().unwrap();
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(destroy.wait_with_output().unwrap().status.success());
    assert_eq!(std::fs::read_dir(home.state()).unwrap().count(), 0);
}

/// A folder of programs that stand for those which build images: the first of them never ends.
fn tools(dir: &Path) -> String {
    let script = "#!/bin/sh\necho $$ > \"$(dirname \"$0\")/pid\"\nexec sleep 1000\n";
    for name in ["mmdebstrap", "mke2fs", "qemu-img"] {
        let write = "printf '%s' \"$1\" > \"$0\" && chmod 755 \"$0\"";
        let status = Command::new("sh").arg("-c").arg(write).arg(dir.join(name)).arg(script).status().unwrap();
        assert!(status.success());
    }
    format!("{}:{}", dir.display(), std::env::var("PATH").unwrap())
}

#[test]
fn an_image_build_that_is_killed_ends_its_tools_and_leaves_a_cache_that_is_valid() {
    let home = Home::new();
    let bin = home.path().join("bin");
    std::fs::create_dir(&bin).unwrap();
    let path = tools(&bin);
    for signal in [Signal::KILL, Signal::TERM] {
        let _ = std::fs::remove_file(bin.join("pid"));
        let mut build = lab(&home, &["image", "build", "plain"]);
        let mut child = build.env("PATH", &path).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let pid = loop {
            let text = std::fs::read_to_string(bin.join("pid")).unwrap_or_default();
            if let Ok(pid) = text.trim().parse() {
                break pid;
            }
            std::thread::yield_now();
        };
        let tool = ProcessId::of(pid).unwrap();
        kill_process(Pid::from_child(&child), signal).unwrap();
        child.wait().unwrap();
        assert!(tool.wait(Duration::from_secs(10)), "{signal:?}: the tool goes on");
        let list = lab(&home, &["image", "list"]).output().unwrap();
        assert!(list.status.success() && String::from_utf8(list.stdout).unwrap().lines().count() == 1);
    }
    let fixed = lab(&home, &["doctor", "--fix"]).output().unwrap();
    let said = String::from_utf8(fixed.stdout).unwrap();
    assert!(said.contains("a build that was cut"), "{said}");
    let left = std::fs::read_dir(home.path().join("cache/images")).unwrap().flatten();
    let left: Vec<_> = left.map(|e| e.file_name()).filter(|n| n.to_string_lossy().starts_with(".building")).collect();
    assert!(left.is_empty(), "{left:?}");
}
