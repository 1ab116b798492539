//! Torn and flipped files of a lab, full and read-only disks: never a panic, never a step taken for done that was not, and
//! `destroy` always works.

use crate::support::{Home, run};
use std::path::{Path, PathBuf};
use std::process::Command;

const LAB: &str = "\
lab: x
image: plain
networks: {lan: {kind: host-only, subnet: 192.168.20.0/24}}
nodes:
  n1: {networks: {lan: 192.168.20.11}}
  n2: {networks: {lan: 192.168.20.12}}
steps:
  - {name: a, on: n1, undo: 'rm -f $HOME/a', run: 'set -C; echo a > $HOME/a; echo hush-42 > $LAB_OUTPUTS/word', outputs: {word: {secret: true}}}
  - {name: b, on: n2, undo: 'rm -f $HOME/b', run: 'set -C; echo {{ outputs.a.word }} > $HOME/b'}
";

/// A small change of a file: a byte flipped, or what follows it gone.
#[derive(Debug, Clone, Copy)]
enum Damage {
    Flip(usize),
    Cut(usize),
}

fn damage(path: &Path, whole: &[u8], how: Damage) {
    let mut bytes = whole.to_vec();
    match how {
        Damage::Flip(at) => bytes[at] ^= 1 << (at % 8),
        Damage::Cut(at) => bytes.truncate(at),
    }
    std::fs::write(path, bytes).unwrap();
}

fn copy(from: &Path, to: &Path) {
    let _ = std::fs::remove_dir_all(to);
    assert!(Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap().success());
}

fn not_a_panic(err: &str) {
    assert!(!err.contains("panicked") && !err.contains("RUST_BACKTRACE"), "{err}");
}

fn kept(home: &Home) -> Vec<PathBuf> {
    let dir = home.state().join("x");
    let outputs = std::fs::read_dir(dir.join("outputs")).unwrap().flatten().map(|e| e.path());
    let names = ["journal", "ledger", "lab.json", "nodes/n2/birth"];
    names.iter().map(|n| dir.join(n)).chain(outputs).collect()
}

#[test]
fn whatever_is_damaged_up_tells_the_truth_and_destroy_works() {
    let home = Home::new();
    home.file("lab.yaml", LAB);
    let (_, err, code) = run(home.lab(&["up", "--driver", "fake"]));
    assert_eq!(code, Some(0), "{err}");
    let backup = home.path().join("backup");
    copy(&home.state(), &backup);
    let root = |node: &str| home.state().join("x/nodes").join(node).join("root");
    for (number, path) in kept(&home).iter().enumerate() {
        copy(&backup, &home.state());
        let whole = std::fs::read(path).unwrap();
        let step = (whole.len() / 12).max(3);
        let places = (number..whole.len()).step_by(step);
        for how in places.flat_map(|at| [Damage::Flip(at), Damage::Cut(at)]) {
            let told = format!("{} {how:?}", path.display());
            copy(&backup, &home.state());
            // A step that is taken for done without being so would leave this as it is.
            std::fs::remove_file(root("n2").join("b")).unwrap();
            std::fs::write(root("n2").join("b"), "hush-42\n").unwrap();
            damage(path, &whole, how);
            let (_, err, code) = run(home.lab(&["up", "--driver", "fake"]));
            not_a_panic(&err);
            match code {
                Some(0) => assert_eq!(std::fs::read_to_string(root("n2").join("b")).unwrap(), "hush-42\n", "{told}"),
                _ => assert!(code == Some(1) && err.contains("lab destroy x"), "{told}: {err}"),
            }
            let (_, err, code) = run(home.lab(&["destroy", "x", "-f"]));
            not_a_panic(&err);
            assert_eq!(code, Some(0), "{told}: {err}");
            assert_eq!(std::fs::read_dir(home.state()).unwrap().count(), 0, "{told}");
        }
    }
}

#[test]
fn a_journal_that_forgot_a_node_made_anew_does_not_believe_its_steps() {
    let home = Home::new();
    home.file("lab.yaml", LAB);
    assert_eq!(run(home.lab(&["up", "--driver", "fake"])).2, Some(0));
    let journal = std::fs::read(home.state().join("x/journal")).unwrap();
    // The node is lost and made again; then the journal is that of before.
    std::fs::remove_dir_all(home.state().join("x/nodes/n2")).unwrap();
    assert_eq!(run(home.lab(&["up", "--driver", "fake"])).2, Some(0));
    std::fs::remove_file(home.state().join("x/nodes/n2/root/b")).unwrap();
    std::fs::write(home.state().join("x/journal"), journal).unwrap();
    let (out, err, _) = run(home.lab(&["plan"]));
    assert!(out.contains("what was done on its node is not known"), "{out}{err}");
    let (_, err, code) = run(home.lab(&["up", "--driver", "fake"]));
    assert_eq!(code, Some(0), "{err}");
    assert!(home.state().join("x/nodes/n2/root/b").exists());
}

/// A shell in a mount namespace of its own, where it may mount; None on hosts that do not let us.
fn with_mounts(script: &str, home: &Home) -> Option<(String, String, Option<i32>)> {
    let flags: &[&str] = if rustix::process::getuid().is_root() { &["--mount"] } else { &["--mount", "-r"] };
    let may = Command::new("unshare").args(flags).args(["mount", "-t", "tmpfs", "tmpfs", "/mnt"]).output();
    if !may.is_ok_and(|o| o.status.success()) {
        eprintln!("this host does not let us mount: left out");
        return None;
    }
    std::fs::create_dir_all(home.state()).unwrap();
    let lab = assert_cmd::cargo::cargo_bin("lab");
    let mut command = assert_cmd::Command::new("unshare");
    command.args(flags).args(["sh", "-c", script]).current_dir(home.path()).env("LAB", lab);
    command.env("LAB_STATE_DIR", home.state()).env("LAB_RUN_DIR", home.path().join("run"));
    command.env("LAB_CACHE_DIR", home.path().join("cache"));
    Some(run(command))
}

#[test]
fn a_full_disk_is_told_and_with_room_it_goes_on() {
    for pages in [4, 6, 8, 10, 12, 14, 16, 20, 24, 28] {
        let home = Home::new();
        home.file("lab.yaml", LAB);
        let script = format!(
            "mount -t tmpfs -o size={}k,mode=700 tmpfs \"$LAB_STATE_DIR\" || exit 90
             \"$LAB\" up --driver fake; first=$?
             mount -o remount,size=64m tmpfs \"$LAB_STATE_DIR\" || exit 91
             \"$LAB\" up --driver fake || exit 92
             test \"$(cat \"$LAB_STATE_DIR/x/nodes/n2/root/b\")\" = hush-42 || exit 93
             \"$LAB\" destroy x -f || exit 94
             test -z \"$(ls \"$LAB_STATE_DIR\")\" || exit 95
             echo \"first $first\"",
            pages * 4
        );
        let Some((out, err, code)) = with_mounts(&script, &home) else { return };
        not_a_panic(&err);
        assert_eq!(code, Some(0), "{pages} pages: {out}{err}");
        // The step itself may have been hit, and says what it can.
        let told = ["No space left", "ended without an exit code", "exit code 1"].iter().any(|part| err.contains(part));
        assert!(out.contains("first 0") || out.contains("first 1") && told, "{pages} pages: {out}{err}");
        assert!(pages > 6 || err.contains("No space left"), "{pages} pages were enough: {out}{err}");
    }
}

#[test]
fn a_folder_that_cannot_be_written_to_is_told_with_the_command() {
    let home = Home::new();
    home.file("lab.yaml", LAB);
    let script = "mount -t tmpfs -o ro tmpfs \"$LAB_STATE_DIR\" || exit 90; exec \"$LAB\" up --driver fake";
    let Some((_, err, code)) = with_mounts(script, &home) else { return };
    assert!(code == Some(3) && err.contains("cannot be written to") && err.contains("LAB_STATE_DIR"), "{err}");
}
