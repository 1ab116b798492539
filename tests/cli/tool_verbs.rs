//! What a tool that people like to use has beside its purpose: JSON, completions, manual pages, version, parts of a run.

use crate::support::{Home, run};
use serde_json::Value as Json;

const LAB: &str = "\
lab: x
title: A lab
image: plain
networks: {lan: {kind: host-only, subnet: 192.168.20.0/24}}
nodes:
  n1: {networks: {lan: 192.168.20.11}}
  n2: {networks: {lan: 192.168.20.12}}
steps:
  - {name: one, run: 'echo one >> $HOME/trace'}
  - {name: two, on: n2, run: 'echo two >> $HOME/trace'}
  - {name: three, run: 'echo three >> $HOME/trace'}
exports:
  config: {node: n1, path: /etc/config, port: 7000}
tools:
  mytool: {program: part/mytool, env: {CONFIG: config}}
";

fn up(home: &Home, args: &[&str]) -> (String, String, Option<i32>) {
    home.file("lab.yaml", LAB);
    run(home.lab(&[&["up", "--driver", "fake"], args].concat()))
}

fn trace(home: &Home, node: &str) -> String {
    std::fs::read_to_string(home.state().join(format!("x/nodes/{node}/root/trace"))).unwrap_or_default()
}

#[test]
fn a_part_of_a_run_and_the_rest_later() {
    let home = Home::new();
    let (out, err, code) = up(&home, &["--to", "one", "--dry-run"]);
    assert!(code == Some(0) && out.contains("4 of 4 tasks would run") && !out.contains("two@n2"), "{out}{err}");
    assert!(!home.state().join("x").exists(), "nothing is changed");
    for (option, name) in [("--to", "tow"), ("--from", "tow"), ("--only", "n3")] {
        let (_, err, code) = up(&home, &[option, name]);
        assert!(code == Some(2) && err.contains("the lab has"), "{err}");
        assert!(!home.state().join("x").exists(), "{option}: nothing is made for a name that is wrong");
    }
    let (out, err, code) = up(&home, &["--to", "two"]);
    assert!(code == Some(0) && out.contains("go on: lab up x"), "{out}{err}");
    assert_eq!((trace(&home, "n1").as_str(), trace(&home, "n2").as_str()), ("one\n", "one\ntwo\n"));
    assert_eq!(up(&home, &["--only", "n1"]).2, Some(0));
    assert_eq!((trace(&home, "n1").as_str(), trace(&home, "n2").as_str()), ("one\nthree\n", "one\ntwo\n"));
    assert_eq!(up(&home, &[]).2, Some(0));
    assert_eq!((trace(&home, "n1").as_str(), trace(&home, "n2").as_str()), ("one\nthree\n", "one\ntwo\nthree\n"));
    assert_eq!(up(&home, &["--from", "two"]).2, Some(0));
    assert_eq!(trace(&home, "n2"), "one\ntwo\nthree\ntwo\nthree\n");
    let (_, err, code) = up(&home, &["--to", "tow"]);
    assert!(
        code == Some(2) && err.contains("the lab has one, two, three") && err.contains("did you mean `two`?"),
        "{err}"
    );
}

#[test]
fn facts_are_told_as_json_with_a_schema() {
    let home = Home::new();
    let json = |args: &[&str]| {
        let (out, err, code) = run(home.lab(args));
        assert_eq!(code, Some(0), "{err}");
        serde_json::from_str::<Json>(&out).unwrap()
    };
    home.file("lab.yaml", LAB);
    let plan = json(&["plan", "--driver", "fake", "--json"]);
    assert_eq!((plan["schema"].as_str(), plan["tasks"].as_array().unwrap().len()), (Some("lab.plan/1"), 7));
    assert_eq!((&plan["tasks"][2]["verb"], &plan["tasks"][2]["runs"]), (&Json::from("run"), &Json::from(true)));
    assert_eq!(up(&home, &[]).2, Some(0));
    let status = json(&["status", "--json"]);
    assert_eq!((&status["schema"], &status["driver"]), (&Json::from("lab.status/1"), &Json::from("fake")));
    assert_eq!(
        (&status["nodes"][1]["name"], &status["nodes"][1]["state"]),
        (&Json::from("n2"), &Json::from("running"))
    );
    assert_eq!(status["steps"]["done"].as_array().unwrap().len(), 5);
    let labs = json(&["list", "--json"]);
    let labs = labs["labs"].as_array().unwrap();
    let find = |name: &str| labs.iter().find(|l| l["name"] == name).unwrap();
    assert!(find("x")["exists"] == true && find("x")["boxed"] == false && find("flannel")["boxed"] == true);
    assert_eq!(json(&["image", "list", "--json"])["images"], Json::Array(vec![]));
    assert!(json(&["version", "--json"])["host"]["kernel"].as_str().is_some_and(|k| !k.is_empty()));
}

#[test]
fn every_lab_goes_at_once() {
    let home = Home::new();
    assert_eq!(up(&home, &[]).2, Some(0));
    home.file("other.yaml", &LAB.replace("lab: x", "lab: y"));
    assert_eq!(run(home.lab(&["up", "other.yaml", "--driver", "fake"])).2, Some(0));
    let (_, err, code) = run(home.lab(&["destroy", "--all"]));
    assert!(code == Some(2) && err.contains("destroy x, y") && err.contains("lab destroy --all -f"), "{err}");
    let (out, _, code) = run(home.lab(&["destroy", "--all", "-f"]));
    assert!(code == Some(0) && out.contains("x: destroyed") && out.contains("y: destroyed"), "{out}");
    assert_eq!(std::fs::read_dir(home.state()).unwrap().count(), 0);
    assert_eq!(run(home.lab(&["destroy", "--all", "-f"])).2, Some(0));
}

#[test]
fn shells_are_told_labs_nodes_and_steps() {
    let home = Home::new();
    assert_eq!(up(&home, &[]).2, Some(0));
    for (shell, part) in [("bash", "complete -o"), ("zsh", "#compdef lab"), ("fish", "complete --")] {
        let (out, err, code) = run(home.lab(&["completions", shell]));
        assert!(code == Some(0) && out.contains(part) && out.contains("LAB_COMPLETE"), "{shell}: {out}{err}");
    }
    let asked = |words: &[&str]| {
        let mut lab = home.lab(&[&["--", "lab"], words].concat());
        lab.env("LAB_COMPLETE", "fish");
        run(lab).0
    };
    assert_eq!(asked(&["ssh", ""]).lines().filter(|l| ["n1", "n2"].contains(l)).count(), 2);
    assert!(asked(&["status", "fl"]).lines().any(|l| l == "flannel"));
    assert!(asked(&["logs", "--step", ""]).lines().any(|l| l == "three"));
    assert!(asked(&["ssh-"]).contains("ssh-config"));
    let one_of = |words: &[&str], wanted: &str| {
        let said = asked(words);
        assert!(said.lines().any(|l| l == wanted), "{words:?}: {said}");
    };
    assert_eq!(run(home.lab(&["observe", "--name", "broken"])).2, Some(0));
    one_of(&["render", ""], "two");
    one_of(&["render", "two", "--node", ""], "n2");
    one_of(&["forward", ""], "x");
    one_of(&["observe", ""], "n1");
    one_of(&["diff", ""], "broken");
    one_of(&["explain", "route", ""], "n2");
    one_of(&["check", ""], "x");
    one_of(&["init", "--from", ""], "kubeadm");
    one_of(&["image", "build", ""], "plain");
    one_of(&["--lab", ""], "x");
}

#[test]
fn every_verb_has_a_manual_page() {
    let home = Home::new();
    let (_, err, code) = run(home.lab(&["man", "man1"]));
    assert_eq!(code, Some(0), "{err}");
    let page = std::fs::read_to_string(home.path().join("man1/lab-up.1")).unwrap();
    assert!(page.contains("lab up flannel") && page.contains(".TH"), "{page}");
    assert!(!home.path().join("man1/lab-switch.1").exists(), "hidden verbs have none");
}

#[test]
fn the_version_in_one_line_and_the_host_for_a_bug_report() {
    let home = Home::new();
    let (out, _, _) = run(home.lab(&["version"]));
    assert!(out.starts_with("lab 0.") && out.lines().count() == 1, "{out}");
    let (out, _, _) = run(home.lab(&["version", "--verbose"]));
    for name in ["system", "kernel", "kvm", "qemu-img", "runc", "state"] {
        assert!(out.lines().any(|l| l.starts_with(&format!("{name} "))), "{name}: {out}");
    }
}

#[test]
fn a_word_that_is_no_verb_is_guessed_or_refused() {
    let home = Home::new();
    for (word, part) in [
        ("stauts", "did you mean `lab status`?"),
        ("frobnicate", "no such verb"),
        ("kubectl", "it is a tool of the lab flannel, which does not exist\n  hint: lab up flannel"),
    ] {
        let (_, err, code) = run(home.lab(&[word, "--flag"]));
        assert!(code == Some(2) && err.contains(part), "{word}: {err}");
    }
    assert_eq!(up(&home, &[]).2, Some(0));
    let (_, err, code) = run(home.lab(&["mytool", "get"]));
    assert!(code == Some(2) && err.contains("the image plain has no bundle"), "{err}");
}

#[test]
fn colours_are_as_the_user_says() {
    let home = Home::new();
    home.file("lab.yaml", LAB);
    let (_, err, _) = run(home.lab(&["up", "--driver", "fake", "--color", "always"]));
    assert!(err.contains("\x1b[32mdone\x1b[0m"), "{err}");
    let mut forced = home.lab(&["up", "--color", "never", "--from", "three"]);
    forced.env("CLICOLOR_FORCE", "1");
    let (_, err, _) = run(forced);
    assert!(err.contains("three") && !err.contains("\x1b["), "{err}");
}

#[test]
fn an_exported_port_stays_the_labs() {
    let home = Home::new();
    let record = || {
        let text = std::fs::read_to_string(home.state().join("x/lab.json")).unwrap();
        serde_json::from_str::<Json>(&text).unwrap()["forwards"]["n1"].clone()
    };
    assert_eq!(up(&home, &[]).2, Some(0));
    let first = record();
    assert_eq!(first[0]["guest"], 7000);
    assert_eq!(
        std::fs::read_to_string(home.state().join("x/nodes/n1/forward")).unwrap(),
        format!("{}:7000", first[0]["host"])
    );
    assert_eq!(up(&home, &[]).2, Some(0));
    assert_eq!(record(), first);
}
