//! The flannel lab with its whole proof on container nodes, twice, and nothing left on the host. Needs root.

use crate::host::{self, lab, ok};
use crate::support::{Home, run};
use std::path::Path;
use std::process::Command as Program;

fn proof(home: &Home) {
    let dir = home.state().join("flannel");
    let text = std::fs::read_to_string(dir.join("checks.txt")).unwrap();
    assert!(text.ends_with("10 of 10 checks hold\n"), "{text}");
    for node in ["flannel-ctr", "flannel-w1", "flannel-w2"] {
        let line = text.lines().find(|l| l.trim().starts_with(&format!("{node} ")) && l.contains(" Ready ")).unwrap();
        assert!(line.contains(" 192.168.20.10"), "{line}");
    }
    let answers: Vec<&str> = text.lines().filter(|l| l.contains("Hostname: webpod-")).collect();
    let counts: Vec<u32> = answers.iter().map(|l| l.split_whitespace().next().unwrap().parse().unwrap()).collect();
    assert_eq!((counts.len(), counts.iter().sum::<u32>()), (2, 24), "{text}");
    for node in ["flannel-ctr", "flannel-w1", "flannel-w2"] {
        let capture =
            |name: &str| std::fs::read_to_string(dir.join(format!("observations/{name}/{node}.txt"))).unwrap();
        let (before, after) = (capture("before"), capture("after"));
        assert!(before.contains("-N KUBE-SERVICES") && !before.contains("FLANNEL"), "{node}");
        assert!(after.contains("flannel.1: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1450"), "{node}");
        let peers = after.lines().filter(|l| l.starts_with("10.244.") && l.contains("dev flannel.1 onlink")).count();
        assert_eq!(peers, 2, "{node}");
        assert!(after.contains("-N FLANNEL-POSTRTG"), "{node}");
    }
    assert!(text.contains("chain KUBE-SVC-CNZCPOCNCNOROALA of table nat, 3 rules"), "{text}");
}

/// A token has the form of six and sixteen characters; the nodes' own files are theirs.
fn no_token_is_written_down(home: &Home) {
    let dir = home.state().join("flannel");
    let mut texts = vec![std::fs::read_to_string(dir.join("journal")).unwrap()];
    for entry in std::fs::read_dir(dir.join("logs")).unwrap() {
        texts.push(String::from_utf8_lossy(&std::fs::read(entry.unwrap().path()).unwrap()).into_owned());
    }
    let outputs = std::fs::read_dir(dir.join("outputs")).unwrap();
    for entry in outputs {
        let json: serde_json::Value = serde_json::from_slice(&std::fs::read(entry.unwrap().path()).unwrap()).unwrap();
        let token = json["values"]["token"].as_str().unwrap().to_owned();
        assert!(token.len() == 23 && token.as_bytes()[6] == b'.', "it is a token");
        assert!(texts.iter().all(|t| !t.contains(&token)), "the token is in a log");
    }
}

/// The cluster from the host: the bundle's own client, a context merged into a file of the user's, a service's address.
fn from_the_host(home: &Home) {
    let nodes = ok(lab(home, &["kubectl", "get", "nodes"])).0;
    assert_eq!(nodes.matches(" Ready ").count(), 3, "{nodes}");
    let config = home.file("config", "apiVersion: v1\nkind: Config\ncurrent-context: mine\n");
    let with = |args: &[&str]| {
        let mut lab = lab(home, args);
        lab.env("KUBECONFIG", &config);
        ok(lab).0
    };
    assert!(with(&["kubeconfig", "--merge", "flannel"]).contains("--context lab-flannel"));
    let text = std::fs::read_to_string(&config).unwrap();
    assert!(text.contains("server: https://127.0.0.1:") && text.contains("current-context: mine"), "{text}");
    let address = ok(lab(home, &["kubectl", "get", "service", "webpod", "-o", "jsonpath={.spec.clusterIP}"])).0;
    for (from, to, node) in
        [("flannel-w1", address.as_str(), "flannel-w1"), ("flannel", "service/webpod", "flannel-ctr")]
    {
        let forward = lab(home, &["forward", from, &format!(":{to}:80")]);
        let mut pty = crate::pty::Pty::start(&forward, 80, 24);
        pty.wait_for(&format!(" -> {node}, {address}:80"));
        let local = pty.seen.split_whitespace().next().unwrap().to_owned();
        let curl = Program::new("curl").args(["-sS", "--max-time", "20", &format!("http://{local}")]).output().unwrap();
        assert!(String::from_utf8_lossy(&curl.stdout).contains("Hostname: webpod-"), "{curl:?}");
        pty.type_in("\x03");
        pty.end();
    }
}

/// What the export for Vagrant holds at its end holds here, and not where something is missing.
fn exported_checks_hold(home: &Home) {
    ok(lab(home, &["export", "vagrant", "flannel", "--to", "exported"]));
    let dir = home.path().join("exported");
    let functions = std::fs::read_to_string(dir.join("checks.sh")).unwrap();
    let holds = |node: &str, script: &str| {
        let mut ssh = lab(home, &["ssh", node, "--", "bash", "-s"]);
        ssh.write_stdin(format!("{functions}{script}"));
        run(ssh)
    };
    let mut held = 0;
    for entry in std::fs::read_dir(dir.join("checks")).unwrap() {
        let path = entry.unwrap().path();
        let node = path.file_stem().unwrap().to_str().unwrap().split_once('.').unwrap().1.to_owned();
        let (out, err, code) = holds(&node, &std::fs::read_to_string(&path).unwrap());
        assert_eq!(code, Some(0), "{}: {out}{err}", path.display());
        held += 1;
    }
    assert!(held >= 20, "{held}");
    let cluster = "export KUBECONFIG=/etc/kubernetes/admin.conf\n";
    for wrong in [
        "link flannel.1 bridge ''\n".to_owned(),
        "link flannel.1 vxlan 1500\n".to_owned(),
        "route 3 root 10.244.0.0/16 dev flannel.1\n".to_owned(),
        "chain nat NOWHERE\n".to_owned(),
        format!("{cluster}pods default app=webpod 3 2 ''\n"),
        format!("{cluster}pods default app=webpod 2 2 flannel-w1\n"),
        format!("{cluster}service default nowhere 1\n"),
        "script 5 <<'END'\nfalse\ntrue\nEND\n".to_owned(),
    ] {
        assert_ne!(holds("flannel-ctr", &wrong).2, Some(0), "{wrong}");
    }
}

/// The pods of a node that was away are still told to be Ready until it speaks again: only an answer tells.
const WHOLE: &str = "kubectl wait --for=condition=Ready node --all --timeout=60s && \
    kubectl rollout status deployment/webpod --timeout=60s && \
    timeout 120 sh -c 'until kubectl exec curl-pod -- curl -sS --max-time 10 webpod; do sleep 1; done'";

/// Halted and up again it is the same cluster, and so it is after a node has rebooted by itself.
fn the_cluster_survives(home: &Home) {
    let uid = "kubectl get namespace kube-system -o jsonpath='{.metadata.uid}'";
    let before = ok(lab(home, &["ssh", "flannel-ctr", "-c", uid])).0;
    ok(lab(home, &["halt", "flannel"]));
    let (_, err) = ok(lab(home, &["up", "flannel", "--offline"]));
    assert!(!err.contains("init: "), "nothing is done again: {err}");
    assert_eq!(ok(lab(home, &["ssh", "flannel-ctr", "-c", uid])).0, before);
    assert!(ok(lab(home, &["ssh", "flannel-ctr", "-c", WHOLE])).0.contains("Hostname: webpod-"));
    let boot = "cat /proc/sys/kernel/random/boot_id";
    let before = ok(lab(home, &["ssh", "flannel-w1", "-c", boot])).0;
    run(lab(home, &["ssh", "flannel-w1", "-c", "systemctl reboot"]));
    loop {
        let (out, _, code) = run(lab(home, &["ssh", "flannel-w1", "-c", boot]));
        if code == Some(0) && out != before {
            break;
        }
    }
    assert!(ok(lab(home, &["ssh", "flannel-ctr", "-c", WHOLE])).0.contains("Hostname: webpod-"));
}

#[test]
fn the_lesson_on_container_nodes_twice_and_nothing_left() {
    let _alone = host::alone();
    let home = Home::new();
    let _gone = host::Gone(&home, "flannel");
    let before = host::state(&home);
    for round in 0..2 {
        let (out, err) = ok(lab(&home, &["up", "flannel", "--driver", "container", "--offline"]));
        assert!(out.contains("What the network plugin added") && out.contains("mtu 1450"), "{out}\n{err}");
        print!("{err}{out}");
        proof(&home);
        no_token_is_written_down(&home);
        exported_checks_hold(&home);
        let (out, _) = ok(lab(&home, &["plan", "flannel"]));
        assert!(out.contains("\n0 of "), "a finished lab has nothing to do: {out}");
        let values = ok(lab(
            &home,
            &["ssh", "flannel-ctr", "-c", "cat flannel-values.yaml && helm list -A && kubectl get nodes"],
        ))
        .0;
        assert!(values.contains("--iface=eth1") && values.contains("flannel-v0.28.4"), "{values}");
        from_the_host(&home);
        if round == 1 {
            the_cluster_survives(&home);
        }
        ok(lab(&home, &["destroy", "flannel", "-f"]));
        assert!(!std::fs::read_to_string(home.path().join("config")).unwrap().contains("lab-flannel"));
        let left: Vec<String> = host::state(&home).symmetric_difference(&before).cloned().collect();
        assert!(left.is_empty(), "the host is not as it was: {left:?}");
        assert!(!Path::new(&home.path().join("run")).exists());
        assert_eq!(std::fs::read_dir(home.state()).unwrap().count(), 0);
    }
}
