//! What the user gives may be wrong: exit 2, file, line, column, everything at once, nothing changed.

use crate::support::{Home, run};

#[test]
fn all_problems_of_a_lab_file_at_once() {
    let home = Home::new();
    home.file(
        "lab.yaml",
        "lab: x\nimage: plain\nnetworks: {lan: {kind: host-only, subnet: 192.168.20.0/24}}\nnodes:\n  n1: {cpuz: 2, networks: {lan: 192.168.21.1}}\nsteps:\n  - {name: a, on: n2, run: 'echo {{ nope }}'}\n",
    );
    for verb in ["validate", "up", "plan"] {
        let (out, err, code) = run(home.lab(&[verb]));
        assert_eq!((out.as_str(), code), ("", Some(2)), "{verb}");
        for part in [
            "4 problems",
            "lab.yaml:5:8",
            "did you mean `cpus`?",
            "lab.yaml:5:33",
            "no node `n2`",
            "`nope`, which nobody defines",
        ] {
            assert!(err.contains(part), "{verb}: {part} in {err}");
        }
    }
    assert!(!home.state().exists());
}

#[test]
fn the_labs_in_the_box_are_good() {
    let home = Home::new();
    let (out, _, _) = run(home.lab(&["list"]));
    let names: Vec<&str> = out.lines().skip(1).filter_map(|l| l.split_whitespace().next()).collect();
    assert_eq!(names, ["flannel", "flannel-host-gw", "kubeadm", "two-nodes"]);
    for name in names {
        let (out, err, code) = run(home.lab(&["validate", name]));
        assert_eq!(code, Some(0), "{err}");
        assert!(out.starts_with(&format!("{name}: good")));
    }
}

#[test]
fn values_are_typed_and_named() {
    let home = Home::new();
    let (_, err, code) = run(home.lab(&["validate", "flannel", "--set", "pod_cidr=10.244.0.1/16"]));
    assert_eq!(code, Some(2));
    assert!(err.contains("write the subnet itself"), "{err}");
    let (_, err, _) = run(home.lab(&["validate", "flannel", "--set", "nope=1"]));
    assert!(err.contains("the lab has no such value; it has pod_cidr, service_cidr, kubernetes"), "{err}");
}

#[test]
fn which_lab_is_meant_is_said() {
    let home = Home::new();
    let (_, err, code) = run(home.lab(&["status"]));
    assert_eq!(code, Some(2));
    assert!(
        err.contains("no lab.yaml in this folder") && err.contains("flannel, flannel-host-gw, kubeadm, two-nodes"),
        "{err}"
    );
    let (_, err, code) = run(home.lab(&["up", "flanel"]));
    assert_eq!(code, Some(2));
    assert!(err.contains("the box has flannel, flannel-host-gw, kubeadm, two-nodes"), "{err}");
}

#[test]
fn names_cannot_leave_the_state_folder() {
    let home = Home::new();
    std::fs::create_dir_all(home.state()).unwrap();
    home.file("victim", "still here");
    let (_, err, code) = run(home.lab(&["destroy", "-f", "../victim"]));
    assert_eq!(code, Some(2), "{err}");
    assert!(home.path().join("victim").exists());
}
