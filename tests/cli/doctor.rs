//! `lab doctor`: every check has its word, what is wrong its command.

use crate::support::{Home, run};
use std::os::unix::net::UnixListener;

/// What doctor says is left of labs of this home: the host may have others, at whose tests it looks too.
fn left(home: &Home, out: &str) -> Vec<String> {
    let of_home = |line: &&str| line.starts_with("note  leftovers") && line.contains(home.path().to_str().unwrap());
    out.lines().filter(of_home).map(str::to_owned).collect()
}

fn findings(out: &str) -> Vec<serde_json::Value> {
    let report: serde_json::Value = serde_json::from_str(out).unwrap();
    report["findings"].as_array().unwrap().clone()
}

#[test]
fn every_check_is_made_and_what_is_wrong_has_its_command() {
    let home = Home::new();
    let mut doctor = home.lab(&["doctor", "--json"]);
    // A host without any program that drivers need.
    doctor.env("PATH", home.path());
    let (out, err, code) = run(doctor);
    assert_eq!(code, Some(3), "{out}{err}");
    let all = findings(&out);
    for check in ["folders", "clock", "ports", "memory", "driver qemu", "driver container", "builds", "leftovers"] {
        assert!(all.iter().any(|f| f["check"] == check), "{check} in {out}");
    }
    let bad: Vec<_> = all.iter().filter(|f| f["weight"] == "bad").collect();
    assert!(!bad.is_empty() && bad.iter().all(|f| f["mend"].is_string()), "{out}");
    assert!(!home.state().exists() && !home.path().join("cache").exists(), "it only looks");
}

#[test]
fn what_dead_labs_left_is_shown_and_removed_when_asked() {
    let home = Home::new();
    let dead = home.path().join("run/0123abcd");
    std::fs::create_dir_all(&dead).unwrap();
    drop(UnixListener::bind(dead.join("n1.qmp")).unwrap());
    let (out, _, _) = run(home.lab(&["doctor"]));
    assert!(
        out.contains("sockets that nobody listens on") && out.contains(&format!("rm -r {}", dead.display())),
        "{out}"
    );
    assert!(dead.exists(), "without --fix nothing is changed");
    let (out, _, _) = run(home.lab(&["doctor", "--fix"]));
    assert!(out.contains("done  mended") && !dead.exists(), "{out}");
    let (out, _, _) = run(home.lab(&["doctor"]));
    assert_eq!(left(&home, &out), [""; 0]);
}

#[test]
fn up_looks_first_and_makes_nothing_where_others_could_write() {
    let home = Home::new();
    std::fs::create_dir(home.state()).unwrap();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    std::fs::set_permissions(home.state(), open).unwrap();
    let (_, err, code) = run(home.lab(&["up", "two-nodes", "--driver", "fake"]));
    assert!(code == Some(3) && err.contains("chmod go-w"), "{err}");
    assert_eq!(std::fs::read_dir(home.state()).unwrap().count(), 0);
    let (out, _, _) = run(home.lab(&["doctor", "--fix"]));
    assert!(out.contains(&format!("done  mended                chmod go-w {}", home.state().display())), "{out}");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(home.state()).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o755);
}

/// A switch goes on when somebody deletes its lab's folder; its own folder tells whose it was.
#[test]
fn what_runs_for_a_lab_whose_folder_was_deleted_is_ended_when_asked() {
    let home = Home::new();
    let lab = "lab: x\nimage: plain\nnodes: {n1: {}}\nsteps: []\n";
    home.file("lab.yaml", lab);
    assert_eq!(run(home.lab(&["up", "--driver", "fake"])).2, Some(0));
    let runs = std::fs::read_dir(home.path().join("run")).unwrap().flatten().map(|e| e.path()).collect::<Vec<_>>();
    let mut switch = std::process::Command::new(assert_cmd::cargo::cargo_bin("lab"));
    switch.args(["switch", "--run"]).arg(&runs[0]).args(["--", "lan"]).stdout(std::process::Stdio::piped());
    let mut switch = switch.spawn().unwrap();
    std::io::Read::read(switch.stdout.as_mut().unwrap(), &mut [0; 6]).unwrap();
    let (out, _, _) = run(home.lab(&["doctor"]));
    assert_eq!(left(&home, &out), [""; 0], "a living lab's");
    std::fs::remove_dir_all(home.state()).unwrap();
    let (out, _, _) = run(home.lab(&["doctor"]));
    assert!(out.contains("state/x has left, which is gone") && out.contains("lab doctor --fix"), "{out}");
    let (out, _, _) = run(home.lab(&["doctor", "--fix"]));
    assert!(out.contains("done  mended"), "{out}");
    switch.wait().unwrap();
    assert!(!runs[0].exists());
    let (out, _, _) = run(home.lab(&["doctor"]));
    assert_eq!(left(&home, &out), [""; 0]);
}
