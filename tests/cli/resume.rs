//! The step contract: keys, `unless`, `undo`, `check`, outputs that are secret.

use crate::support::{Home, run};
use std::path::Path;

const HEAD: &str = "lab: x\nimage: plain\nnetworks: {lan: {kind: host-only, subnet: 192.168.20.0/24}}\nnodes:\n  n1: {networks: {lan: 192.168.20.11}}\n  n2: {networks: {lan: 192.168.20.12}}\nsteps:\n";

fn up(home: &Home, steps: &str) -> (String, String, Option<i32>) {
    home.file("lab.yaml", &format!("{HEAD}{steps}"));
    run(home.lab(&["-v", "up", "--driver", "fake"]))
}

fn trace(home: &Home) -> String {
    std::fs::read_to_string(home.state().join("x/nodes/n1/root/trace")).unwrap_or_default()
}

#[test]
fn an_edited_step_and_those_after_it_run_again_and_no_others() {
    let home = Home::new();
    let steps = "  - {name: a, on: n1, run: 'echo a >> $HOME/trace'}\n  - {name: b, on: n1, run: 'echo b >> $HOME/trace'}\n  - {name: c, on: n1, run: 'echo c >> $HOME/trace'}\n";
    assert_eq!(up(&home, steps).2, Some(0));
    assert_eq!(up(&home, steps).2, Some(0));
    assert_eq!(trace(&home), "a\nb\nc\n");
    let edited = steps
        .replace("echo b", "echo B")
        .replace("name: c, on: n1,", "name: c, on: n1, undo: 'echo undo c >> $HOME/trace',");
    assert_eq!(up(&home, &edited).2, Some(0));
    assert_eq!(trace(&home), "a\nb\nc\nB\nundo c\nc\n", "what is done again is undone first");
}

#[test]
fn unless_skips_undo_precedes_a_retry_and_check_must_hold() {
    let home = Home::new();
    let unless = "  - {name: a, on: n1, unless: 'true', run: 'echo a >> $HOME/trace'}\n";
    let (_, err, code) = up(&home, unless);
    assert_eq!(code, Some(0), "{err}");
    assert!(err.contains("already so") && trace(&home).is_empty(), "{err}");
    let failing = "  - {name: b, on: n1, undo: 'echo undo >> $HOME/trace', run: 'echo b >> $HOME/trace; exit 1'}\n";
    assert_eq!(up(&home, failing).2, Some(1));
    assert_eq!(trace(&home), "b\n", "a first try has nothing to undo");
    assert_eq!(up(&home, failing).2, Some(1));
    assert_eq!(trace(&home), "b\nundo\nb\n");
    let unproved = "  - {name: c, on: n1, run: 'true', check: {description: the file is there, hint: make it, timeout: 1s, every: 1s, run: 'test -e $HOME/file'}}\n";
    let (_, err, code) = up(&home, unproved);
    assert_eq!(code, Some(1));
    assert!(err.contains("see that the file is there on n1") && err.contains("make it"), "{err}");
    let (out, _, _) = run(home.lab(&["status"]));
    assert!(out.contains("failed: b@n1, c@n1"), "a step that was not proved is not done: {out}");
}

/// Every file below a folder.
fn files(dir: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.is_file() {
            found.push((path.display().to_string(), std::fs::read(&path).unwrap()));
        }
    }
}

#[test]
fn a_secret_output_is_in_no_log_no_journal_and_no_output() {
    let home = Home::new();
    let steps = "  - name: make\n    on: n1\n    run: |\n      echo hush-$((6*7))-hush | tee \"$LAB_OUTPUTS/word\"\n      cat \"$LAB_OUTPUTS/word\" >&2\n    outputs: {word: {secret: true}}\n  - {name: use, on: n2, run: 'echo it is {{ outputs.make.word }}'}\n";
    let (out, err, code) = up(&home, steps);
    assert_eq!(code, Some(0), "{err}");
    assert!(err.contains("it is ********"), "{err}");
    assert!(!out.contains("hush-42") && !err.contains("hush-42"), "{out}{err}");
    let mut found = Vec::new();
    files(&home.state().join("x"), &mut found);
    let with: Vec<&str> = found
        .iter()
        .filter(|(_, text)| String::from_utf8_lossy(text).contains("hush-42"))
        .map(|(p, _)| p.as_str())
        .collect();
    // Its own file, and the script on the node that uses it; the nodes' folders stand for the nodes' disks.
    let kept: Vec<&&str> = with.iter().filter(|p| !p.contains("/nodes/")).collect();
    assert_eq!(kept.len(), 1, "{kept:?}");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(kept[0]).unwrap().permissions());
    assert!(kept[0].contains("/outputs/") && mode & 0o777 == 0o600);
}

#[test]
fn a_declared_output_must_be_left() {
    let home = Home::new();
    let (_, err, code) = up(&home, "  - {name: make, on: n1, run: 'true', outputs: {word: {}}}\n");
    assert_eq!(code, Some(1));
    assert!(err.contains("left nothing in $LAB_OUTPUTS/word"), "{err}");
}

#[test]
fn files_get_their_content_and_mode() {
    let home = Home::new();
    let steps = "  - {name: f, on: n1, template: {to: \"/etc/a b/it's\", mode: '0600', content: \"{{ node.name }} {{ node.address }}\\n\"}}\n";
    let (_, err, code) = up(&home, steps);
    assert_eq!(code, Some(0), "{err}");
    let path = home.state().join("x/nodes/n1/root/etc/a b/it's");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "n1 192.168.20.11\n");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(path).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn what_a_killed_lab_was_undoing_is_ended_before_it_is_undone_again() {
    let home = Home::new();
    // The first undoing never ends by itself, and would remove what the step makes later.
    let undo = "echo $$ >> $HOME/undoing; [ $(wc -l < $HOME/undoing) -gt 1 ] || until rm $HOME/made; do sleep 0.01; done 2>/dev/null";
    let step = |run: &str| format!("  - {{name: a, on: n1, undo: '{undo}', run: '{run}'}}\n");
    assert_eq!(up(&home, &step("exit 1")).2, Some(1));
    let mut dying = std::process::Command::new(assert_cmd::cargo::cargo_bin("lab"));
    dying.args(["up", "--driver", "fake"]).current_dir(home.path()).env("LAB_STATE_DIR", home.state());
    dying.env("LAB_RUN_DIR", home.path().join("run")).stderr(std::process::Stdio::null());
    let mut dying = dying.spawn().unwrap();
    let undoing = home.state().join("x/nodes/n1/root/undoing");
    while std::fs::read_to_string(&undoing).unwrap_or_default().is_empty() {
        assert!(dying.try_wait().unwrap().is_none());
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    dying.kill().unwrap();
    dying.wait().unwrap();
    // Killed, it may still wait for its parent.
    let is_gone = "touch $HOME/made; ! grep -s State:.[^Z] /proc/$(head -1 $HOME/undoing)/status";
    let (_, err, code) = up(&home, &step(is_gone));
    assert_eq!(code, Some(0), "{err}");
    assert_eq!(std::fs::read_to_string(undoing).unwrap().lines().count(), 2, "{err}");
    assert!(home.state().join("x/nodes/n1/root/made").exists());
}
