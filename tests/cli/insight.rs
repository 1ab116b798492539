//! observe, diff, explain, check, graph and report, on nodes that are folders: their network is the host's own.

use crate::support::{Home, run};

const HEAD: &str = "lab: x\nimage: plain\nnetworks: {lan: {kind: host-only, subnet: 192.168.20.0/24}}\nnodes:\n  n1: {networks: {lan: 192.168.20.11}}\n  n2: {networks: {lan: 192.168.20.12}}\nsteps:\n  - {name: a, run: 'true'}\n";

fn up(home: &Home, checks: &str) -> (String, String, Option<i32>) {
    home.file("lab.yaml", &format!("{HEAD}{checks}"));
    run(home.lab(&["up", "--driver", "fake"]))
}

fn lab(home: &Home, args: &[&str]) -> (String, String, Option<i32>) {
    run(home.lab(args))
}

#[test]
fn observations_are_kept_compared_and_survive_destroy() {
    let home = Home::new();
    assert_eq!(up(&home, "").2, Some(0));
    let (out, err, code) = lab(&home, &["observe", "--name", "one"]);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("NODE") && out.contains("n2") && out.contains("kept as `one`"), "{out}");
    assert_eq!(lab(&home, &["observe", "n1", "--name", "two"]).2, Some(0));
    let json: serde_json::Value = serde_json::from_str(&lab(&home, &["observe", "--list", "--json"]).0).unwrap();
    assert_eq!((&json["schema"], &json["notes"][0]["name"]), (&"lab.notes/1".into(), &"one".into()));
    let (out, err, code) = lab(&home, &["diff", "one", "two"]);
    assert_eq!(code, Some(0), "{out}");
    assert!(out.contains("n1\n  nothing changed") && err.contains("n2: only in `one`"), "{out}{err}");

    // A setting that changed between the two.
    let kept = home.state().join("x/observations/two/n1.txt");
    let text = std::fs::read_to_string(&kept).unwrap();
    let line = text.lines().find(|l| l.starts_with("net.ipv4.ip_forward = ")).unwrap().to_owned();
    let flipped = if line.ends_with('1') { "net.ipv4.ip_forward = 0" } else { "net.ipv4.ip_forward = 1" };
    std::fs::write(&kept, text.replace(&line, flipped)).unwrap();
    let (out, _, code) = lab(&home, &["diff", "one", "two", "--node", "n1"]);
    assert_eq!(code, Some(1));
    assert!(out.contains(&format!("- {line}")) && out.contains(&format!("+ {flipped}")), "{out}");
    assert!(!out.contains('\x1b'), "{out:?}");
    assert!(lab(&home, &["diff", "one", "two", "--color", "always"]).0.contains("\x1b[32m+ "));
    assert!(lab(&home, &["diff", "one", "two", "--markdown"]).0.contains("```diff"));
    let json: serde_json::Value = serde_json::from_str(&lab(&home, &["diff", "one", "two", "--json"]).0).unwrap();
    assert_eq!(json["schema"], "lab.diff/1");
    assert_eq!(json["nodes"][0]["groups"][0]["subject"]["subject"], "sysctls");
    assert!(lab(&home, &["diff", "one", "two", "--explain-ignored"]).0.contains("neighbour-learned"));

    let (out, _, code) = lab(&home, &["destroy", "-f", "--keep-notes"]);
    assert_eq!(code, Some(0), "{out}");
    std::fs::remove_file(home.path().join("lab.yaml")).unwrap();
    assert_eq!(lab(&home, &["diff", "one", "two", "--lab", "x"]).2, Some(1), "notes survive");
    assert!(lab(&home, &["list"]).0.contains("notes"));
    assert_eq!(std::fs::read_dir(home.state().join("x")).unwrap().count(), 1, "and nothing else does");
    assert_eq!(lab(&home, &["destroy", "x", "-f"]).2, Some(0));
    assert_eq!(std::fs::read_dir(home.state()).unwrap().count(), 0);
}

#[test]
fn what_cannot_be_looked_at_is_said() {
    let home = Home::new();
    let (_, err, code) = lab(&home, &["observe", "--lab", "nowhere"]);
    assert_eq!(code, Some(2));
    assert!(err.contains("`lab list` shows what there is"), "{err}");
    assert_eq!(up(&home, "").2, Some(0));
    let (_, err, code) = lab(&home, &["observe", "n3"]);
    assert_eq!(code, Some(2));
    assert!(err.contains("it has n1, n2"), "{err}");
    let (_, err, code) = lab(&home, &["diff", "before", "after"]);
    assert_eq!(code, Some(2));
    assert!(err.contains("lab observe --name before"), "{err}");
    let (_, err, code) = lab(&home, &["observe", "--name", "../x"]);
    assert_eq!(code, Some(2), "{err}");
    let (_, err, code) = lab(&home, &["explain", "service", "default/webpod"]);
    assert_eq!(code, Some(1));
    assert!(err.contains("no node that was observed has access to the cluster"), "{err}");
    // A node that is down: the others are observed, the rest is said.
    std::fs::remove_file(home.state().join("x/nodes/n2/up")).unwrap();
    let (out, err, code) = lab(&home, &["observe"]);
    assert_eq!(code, Some(1));
    assert!(out.contains("n1 ") && err.contains("on n2: it is not running"), "{out}{err}");
    let (out, _, code) = lab(&home, &["explain", "route", "n1", "127.0.0.1"]);
    assert_eq!(code, Some(0));
    assert!(out.starts_with("127.0.0.1 on n1\n"), "{out}");
    assert!(lab(&home, &["explain", "node", "n1"]).0.contains("lo"));
}

const CHECKS: &str = "checks:\n  - {name: lo is there, link: {name: lo}}\n  - {name: home, on: n2, run: 'test -e $HOME/made; echo made on {{ node.name }}'}\n";

#[test]
fn checks_are_held_by_up_and_by_check() {
    let home = Home::new();
    let (_, err, code) = up(&home, CHECKS);
    assert_eq!(code, Some(1), "a lab that is not as it should be is not up: {err}");
    assert!(
        err.contains("1 of 2 checks do not hold") && err.contains("FAIL  home") && err.contains("exit code 1"),
        "{err}"
    );
    assert!(!err.contains("PASS"), "only what failed: {err}");
    std::fs::write(home.state().join("x/nodes/n2/root/made"), "").unwrap();
    let (out, err, code) = up(&home, CHECKS);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("\nPASS  home\n2 of 2 checks hold; `lab check` shows what was seen\n"), "{out}");
    let (out, _, code) = lab(&home, &["check"]);
    assert_eq!(code, Some(0));
    assert!(out.contains("PASS  lo is there\n        n1\n          link lo") && out.contains("made on n2"), "{out}");
    // Nothing was done since: what was seen is shown, and not held again.
    std::fs::remove_file(home.state().join("x/nodes/n2/root/made")).unwrap();
    assert_eq!(up(&home, CHECKS).2, Some(0));
    let (out, _, code) = lab(&home, &["check", "--junit"]);
    assert_eq!(code, Some(1));
    assert!(out.contains("failures=\"1\"") && out.contains("<failure message=\"home\">"), "{out}");
    let json: serde_json::Value = serde_json::from_str(&lab(&home, &["check", "--json"]).0).unwrap();
    assert_eq!(
        (json["checks"][0]["passed"].as_bool(), json["checks"][1]["passed"].as_bool()),
        (Some(true), Some(false))
    );
}

#[test]
fn a_lab_without_checks_says_so() {
    let home = Home::new();
    assert_eq!(up(&home, "").2, Some(0));
    let (_, err, code) = lab(&home, &["check"]);
    assert_eq!(code, Some(2));
    assert!(err.contains("no `checks`"), "{err}");
}

/// A lab that was destroyed with its notes kept, in a home that never ran it.
fn notes() -> Home {
    let home = Home::new();
    let from = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/moments");
    for moment in ["before", "after", "sample"] {
        let to = home.state().join("flannel/observations").join(moment);
        std::fs::create_dir_all(&to).unwrap();
        for entry in std::fs::read_dir(from.join(moment)).unwrap() {
            let path = entry.unwrap().path();
            std::fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
        }
    }
    home
}

#[test]
fn the_lessons_notes_tell_what_the_plugin_did() {
    let home = notes();
    let (out, err, code) = lab(&home, &["diff", "before", "after", "--lab", "flannel"]);
    assert_eq!(code, Some(1), "{err}");
    for part in ["+ link flannel.1", "onlink", "+ chain nat FLANNEL-POSTRTG", "+ chain filter FLANNEL-FWD"] {
        assert!(out.matches(part).count() >= 3, "{part}\n{out}");
    }
    assert!(!out.contains("KUBE-SVC") && out.contains("not shown: changes by kube-proxy"), "{out}");
    assert!(lab(&home, &["diff", "before", "after", "--lab", "flannel", "--all"]).0.contains("KUBE-SVC"));
    let (out, _, code) = lab(&home, &["explain", "service", "webpod", "--lab", "flannel", "--at", "sample"]);
    assert_eq!(code, Some(0));
    assert!(out.contains("KUBE-SVC-CNZCPOCNCNOROALA  \"default/webpodtcp\"  proved on flannel-ctr"), "{out}");
    assert_eq!(out.matches("50.0 % to 10.244.").count(), 4, "from pods and from the nodes: {out}");
    for (what, words) in [
        ("service", vec!["service", "webpod"]),
        ("route", vec!["route", "flannel-w1", "10.244.0.9"]),
        ("node", vec!["node", "flannel-w1"]),
    ] {
        let args = [&["explain"][..], &words, &["--lab", "flannel", "--at", "sample", "--json"]].concat();
        let json: serde_json::Value = serde_json::from_str(&lab(&home, &args).0).unwrap();
        assert_eq!(json["schema"], format!("lab.{what}/1"));
    }
    let (_, err, code) = lab(&home, &["explain", "service", "nginx", "--lab", "flannel", "--at", "sample"]);
    assert_eq!(code, Some(2));
    assert!(err.contains("there is no such service"), "{err}");
    let (out, _, code) =
        lab(&home, &["explain", "route", "flannel-w1", "10.244.0.9", "--lab", "flannel", "--at", "after"]);
    assert_eq!(code, Some(0));
    assert!(out.contains("dev flannel.1 onlink") && out.contains("made by flannel"), "{out}");
}

#[test]
fn the_lessons_notes_become_pictures_and_a_report() {
    let home = notes();
    let at = ["--lab", "flannel", "--at", "sample"];
    let (out, err, code) = lab(&home, &[&["graph", "--from", "curl-pod", "--to", "webpod"], &at[..]].concat());
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("│●curl-pod") && out.contains("the nodes' segment 192.168.20.0/24"), "{out}");
    assert_eq!(lab(&home, &[&["graph", "--svg", "g.svg"], &at[..]].concat()).2, Some(0));
    let picture = std::fs::read_to_string(home.path().join("g.svg")).unwrap();
    assert_eq!(picture.matches("class=\"vxlan\"").count(), 3);
    let (out, err, code) = lab(&home, &["report", "--lab", "flannel", "--html", "r.html"]);
    assert_eq!((out.as_str(), code), ("r.html\n", Some(0)), "{err}");
    let page = std::fs::read_to_string(home.path().join("r.html")).unwrap();
    for part in
        ["<svg", "link flannel.1", "iptables -t nat -S KUBE-SVC-CNZCPOCNCNOROALA", "ip route, before", "v1.34.4"]
    {
        assert!(page.contains(part), "{part}");
    }
    assert_eq!(page.matches("://").count(), page.matches("http://www.w3.org/2000/svg").count(), "nothing is fetched");
    let (out, _, _) = lab(&home, &["report", "flannel"]);
    assert!(out.starts_with("# flannel\n") && out.contains("```diff"), "{}", &out[..200]);
}
