//! A lab walked through chapter by chapter; without the option `up` runs to the end.

use crate::support::{Home, run};

const LAB: &str = "\
lab: x
image: plain
values: {word: {type: string, default: hello}}
networks: {lan: {kind: host-only, subnet: 192.168.20.0/24}}
nodes:
  n1: {networks: {lan: 192.168.20.11}}
  n2: {networks: {lan: 192.168.20.12}}
steps:
  - {name: a, run: 'echo a >> $HOME/trace'}
  - {name: b, on: n1, run: 'test ! -e $HOME/bad; echo b >> $HOME/trace'}
  - {name: c, on: n2, run: 'echo {{ word }} >> $HOME/trace'}
chapters:
  - {name: first, until: a, text: {en: \"# The first\\n\\nSay {{ word }} to {{ nodes[1].name }}.\\n\", ko: \"# 첫째\\n\"}}
  - {name: second, until: b, text: Two.}
  - {name: third, text: Three.}
";

fn home() -> Home {
    let home = Home::new();
    home.file("lab.yaml", LAB);
    home
}

fn trace(home: &Home, node: &str) -> String {
    std::fs::read_to_string(home.state().join(format!("x/nodes/{node}/root/trace"))).unwrap_or_default()
}

/// Without the locale of who runs the tests.
fn lab(home: &Home, args: &[&str]) -> (String, String, Option<i32>) {
    let mut command = home.lab(args);
    command.env_remove("LC_ALL").env_remove("LC_MESSAGES").env_remove("LANG");
    run(command)
}

#[test]
fn each_run_stops_at_a_chapters_end_with_its_text() {
    let home = home();
    let (out, err, code) = lab(&home, &["up", "--chapters", "--driver", "fake", "--set", "word=hi"]);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("Say hi to n2.") && out.contains("Chapter 1 of 3 (first)"), "{out}");
    assert_eq!((trace(&home, "n1").as_str(), trace(&home, "n2").as_str()), ("a\n", "a\n"));
    let (out, err, code) = lab(&home, &["chapters"]);
    assert_eq!(code, Some(0), "{err}");
    let states: Vec<Vec<&str>> = out.lines().skip(1).map(|l| l.split_whitespace().take(2).collect()).collect();
    assert_eq!(states, [["first", "done"], ["second", "-"], ["third", "-"]]);
    let (out, err, code) = lab(&home, &["up", "--chapters", "--lang", "ko"]);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("첫째") && out.contains("Chapter 1 of 3"), "the same chapter again: {out}");
    assert!(out.contains("lab next --lang ko goes on"), "the next one would be in the locale's language: {out}");

    std::fs::write(home.state().join("x/nodes/n1/root/bad"), "").unwrap();
    assert_eq!(lab(&home, &["next"]).2, Some(1), "a chapter whose step fails is not finished");
    std::fs::remove_file(home.state().join("x/nodes/n1/root/bad")).unwrap();
    let (out, err, code) = lab(&home, &["next"]);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("Two.") && out.contains("Chapter 2 of 3"), "{out}");
    assert_eq!((trace(&home, "n1").as_str(), trace(&home, "n2").as_str()), ("a\nb\n", "a\n"));

    let (out, _, code) = lab(&home, &["next"]);
    assert_eq!(code, Some(0));
    assert!(out.contains("Three.") && out.contains("that was the last chapter; lab destroy x"), "{out}");
    assert_eq!(trace(&home, "n2"), "a\nhi\n", "values are remembered");
    let (out, _, code) = lab(&home, &["next"]);
    assert_eq!((code, out.contains("that was the last chapter")), (Some(0), true), "{out}");
}

#[test]
fn up_alone_runs_to_the_end() {
    let home = home();
    assert_eq!(lab(&home, &["up", "--driver", "fake"]).2, Some(0));
    assert_eq!(trace(&home, "n2"), "a\nhello\n");
    assert!(lab(&home, &["next"]).0.contains("that was the last chapter"));
}

#[test]
fn what_cannot_be_walked_through_says_so_and_makes_nothing() {
    let home = home();
    let (_, err, code) = lab(&home, &["next"]);
    assert_eq!(code, Some(2), "{err}");
    assert!(err.contains("it does not exist") && err.contains("hint: lab up --chapters"), "{err}");
    home.file("lab.yaml", LAB.split("chapters:").next().unwrap());
    let (_, err, code) = lab(&home, &["up", "--chapters", "--driver", "fake"]);
    assert_eq!(code, Some(2), "{err}");
    assert!(err.contains("its lab file has no chapters") && !home.state().join("x").exists(), "{err}");
    let (_, err, code) = lab(&home, &["chapters", "wlak", "--lab", "flannel"]);
    assert_eq!(code, Some(2), "{err}");
    assert!(err.contains("cluster, before, flannel, after, sample, walk"), "{err}");
}

#[test]
fn the_lesson_has_six_chapters_in_two_languages() {
    let home = home();
    let mut texts = Vec::new();
    for language in ["en", "ko"] {
        for chapter in ["cluster", "before", "flannel", "after", "sample", "walk"] {
            let (out, err, code) = lab(&home, &["chapters", chapter, "--lab", "flannel", "--lang", language]);
            assert_eq!(code, Some(0), "{err}");
            assert!(out.contains("lab ssh flannel-ctr -c") && !out.contains("{{"), "{out}");
            let korean = out.chars().filter(|c| ('가'..='힣').contains(c)).count() > 100;
            assert_eq!(korean, language == "ko", "{chapter}");
            texts.push(out);
        }
    }
    let all = texts.concat();
    for mended in ["iptabless", "sample-app", "not round robin", "RoundRobin", "IfNotPresent", "10.244.0.0/16"] {
        assert!(all.contains(mended), "{mended}");
    }
}

#[test]
fn the_other_clusters_have_chapters_too() {
    let home = home();
    for (lab_name, chapters, node) in [
        ("flannel-host-gw", &["cluster", "before", "flannel", "after", "sample", "walk"][..], "flannel-ctr"),
        ("kubeadm", &["control-plane", "workers", "network"], "kubeadm-ctr"),
    ] {
        for chapter in chapters {
            for language in ["en", "ko"] {
                let (out, err, code) = lab(&home, &["chapters", chapter, "--lab", lab_name, "--lang", language]);
                assert_eq!(code, Some(0), "{err}");
                assert!(out.contains(&format!("lab ssh {node} -c")) && !out.contains("{{"), "{out}");
                let korean = out.chars().filter(|c| ('가'..='힣').contains(c)).count() > 100;
                assert_eq!(korean, language == "ko", "{lab_name} {chapter}");
            }
        }
        let (out, _, code) = lab(&home, &["chapters", "--lab", lab_name, "--json"]);
        let json: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!((code, &json["schema"]), (Some(0), &"lab.chapters/1".into()));
        let names: Vec<&str> =
            json["chapters"].as_array().unwrap().iter().map(|c| c["name"].as_str().unwrap()).collect();
        assert_eq!(names, chapters);
        assert!(json["chapters"][0]["texts"]["ko"].is_string() && json["chapters"][0]["done"] == false, "{out}");
    }
}
