//! Verbs that reach into nodes: `ssh`, `cp`, `logs`, `ssh-config`, `forward`.

use crate::support::{Home, run};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

const LAB: &str = "\
lab: x
image: plain
networks: {lan: {kind: host-only, subnet: 192.168.20.0/24}}
nodes:
  n1: {networks: {lan: 192.168.20.11}}
  node-two: {networks: {lan: 192.168.20.12}}
steps:
  - {name: hello, run: 'echo begin of {{ node.name }}; echo end of {{ node.name }}'}
  - {name: last, on: n1, run: 'seq 1 5 >&2'}
";

fn up() -> Home {
    let home = Home::new();
    home.file("lab.yaml", LAB);
    let (_, err, code) = run(home.lab(&["up", "--driver", "fake"]));
    assert_eq!(code, Some(0), "{err}");
    home
}

#[test]
fn commands_keep_their_words_their_pipes_and_their_exit_code() {
    let home = up();
    let out = |args: &[&str]| run(home.lab(args)).0;
    assert_eq!(out(&["ssh", "n1", "-c", "echo a | tr a b"]), "b\n");
    assert_eq!(out(&["ssh", "n1", "--", "printf", "<%s>", "a b", "$HOME"]), "<a b><$HOME>");
    assert_eq!(out(&["ssh", "n1", "echo", "-n", "x"]), "x");
    assert_eq!(out(&["ssh", "n1", "--", "echo a | tr a b"]), "b\n");
    assert_eq!(run(home.lab(&["ssh", "n1", "-c", "exit 7"])).2, Some(7));
    let mut cat = home.lab(&["ssh", "n1", "cat"]);
    let big: Vec<u8> = (0..=255).cycle().take(1 << 20).collect();
    assert!(cat.write_stdin(big.clone()).output().unwrap().stdout == big);
    let (out, err, _) = run(home.lab(&["ssh", "n1", "-c", "echo there; echo wrong >&2"]));
    assert_eq!((out.as_str(), err.as_str()), ("there\n", "wrong\n"));
}

#[test]
fn a_node_that_nobody_has_is_named_with_those_there_are() {
    let home = up();
    let (_, err, code) = run(home.lab(&["ssh", "node-tow", "-c", "true"]));
    assert_eq!(code, Some(2));
    assert!(err.contains("there are n1, node-two") && err.contains("did you mean `node-two`?"), "{err}");
    home.file("lab.yaml", &LAB.replace("lab: x", "lab: y"));
    assert_eq!(run(home.lab(&["up", "--driver", "fake"])).2, Some(0));
    assert!(run(home.lab(&["ssh", "n1", "pwd"])).0.contains("/y/"), "the lab of this folder is meant");
    std::fs::remove_file(home.path().join("lab.yaml")).unwrap();
    let (_, err, code) = run(home.lab(&["ssh", "n1", "true"]));
    assert_eq!(code, Some(2));
    assert!(err.contains("several labs have a node of this name: x, y") && err.contains("--lab x"), "{err}");
    assert!(run(home.lab(&["ssh", "--lab", "x", "n1", "pwd"])).0.contains("/x/"));
}

#[test]
fn files_and_folders_go_both_ways_and_between_nodes() {
    let home = up();
    let ok = |args: &[&str]| {
        let (out, err, code) = run(home.lab(args));
        assert_eq!((code, out.as_str()), (Some(0), ""), "{err}");
    };
    let big: Vec<u8> = (0..=255).cycle().take(3 << 20).collect();
    std::fs::create_dir_all(home.path().join("notes/deep")).unwrap();
    std::fs::write(home.path().join("notes/deep/big"), &big).unwrap();
    let run_me = home.file("notes/run me.sh", "#!/bin/sh\n");
    std::fs::set_permissions(run_me, std::fs::Permissions::from_mode(0o755)).unwrap();
    ok(&["cp", "notes", "n1:"]);
    ok(&["cp", "n1:notes", "node-two:copied"]);
    ok(&["cp", "-r", "node-two:copied", "back"]);
    assert!(std::fs::read(home.path().join("back/deep/big")).unwrap() == big);
    let mode = std::fs::metadata(home.path().join("back/run me.sh")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o755);
    ok(&["cp", "node-two:copied/run me.sh", "n1:notes/deep", "back"]);
    assert!(home.path().join("back/deep/big").exists() && home.path().join("back/run me.sh").exists());
    let left = run(home.lab(&["ssh", "n1", "-c", "ls -A; ls -A notes"])).0;
    assert_eq!(left, "notes\ndeep\nrun me.sh\n", "nothing else is left on the node");
}

#[test]
fn a_copy_that_cannot_be_says_why() {
    let home = up();
    home.file("a", "a");
    for (args, part, code) in [
        (&["cp", "a", "b"][..], "no path is on a node", 2),
        (&["cp", "no", "n1:"], "read no", 1),
        (&["cp", "n1:no", "."], "there is no no", 1),
        (&["cp", "a", "n1:no/"], "there is no folder no/", 1),
        (&["cp", "a", "n1:no/deep"], "there is no folder no", 1),
        (&["cp", "a", "n3:"], "no lab has it", 2),
    ] {
        let (_, err, got) = run(home.lab(args));
        assert!(got == Some(code) && err.contains(part), "{args:?}: {got:?} {err}");
    }
    assert_eq!(run(home.lab(&["ssh", "n1", "ls", "-A"])).0, "");
}

#[test]
fn logs_are_told_apart_and_chosen() {
    let home = up();
    let out = |args: &[&str]| run(home.lab(args)).0;
    let all = out(&["logs"]);
    assert!(all.starts_with("n1        hello | begin of n1\n"), "{all}");
    assert!(all.contains("node-two  hello | end of node-two\n"), "{all}");
    assert_eq!(out(&["logs", "--step", "last", "-n", "2"]), "4\n5\n", "one log needs no label");
    assert_eq!(out(&["logs", "x", "--node", "node-two"]), "begin of node-two\nend of node-two\n");
    let (_, err, code) = run(home.lab(&["logs", "--step", "helo"]));
    assert_eq!(code, Some(2));
    assert!(err.contains("the lab has hello, last") && err.contains("did you mean `hello`?"), "{err}");
    let (_, err, code) = run(home.lab(&["logs", "--console"]));
    assert_eq!(code, Some(1), "{err}");
}

#[test]
fn logs_are_followed_until_the_lab_goes() {
    let home = up();
    let mut follow = Command::new(assert_cmd::cargo::cargo_bin("lab"));
    follow.args(["logs", "-f", "-n", "1"]).current_dir(home.path()).env("LAB_STATE_DIR", home.state());
    follow.env("LAB_RUN_DIR", home.path().join("run")).stdout(Stdio::piped());
    let mut follow = follow.spawn().unwrap();
    let mut lines = BufReader::new(follow.stdout.take().unwrap()).lines().map(|l| l.unwrap());
    for _ in 0..2 {
        let line = lines.next().unwrap();
        assert!(line.contains("end of"), "{line}");
    }
    assert_eq!(lines.next().unwrap(), "n1        last  | 5");
    home.file("lab.yaml", &LAB.replace("seq 1 5", "{ printf begun; echo and ended; }"));
    assert_eq!(run(home.lab(&["up"])).2, Some(0));
    assert_eq!(lines.next().unwrap(), "n1        last  | begunand ended");
    assert_eq!(run(home.lab(&["destroy", "-f"])).2, Some(0));
    assert_eq!(lines.next(), None);
    assert!(follow.wait().unwrap().success());
}

#[test]
fn ssh_config_pins_keys_in_private_files_and_is_merged_once() {
    let home = up();
    let lab = |args: &[&str]| {
        let mut lab = home.lab(args);
        lab.env("HOME", home.path());
        let (out, err, code) = run(lab);
        assert_eq!(code, Some(0), "{err}");
        out
    };
    let out = lab(&["ssh-config"]);
    assert!(out.contains("Host node-two node-two.x\n  HostName 127.0.0.1\n  Port 1\n"), "{out}");
    assert!(out.contains("StrictHostKeyChecking yes"), "{out}");
    let ssh = home.state().join("x/ssh");
    for file in ["id", "known_hosts"] {
        let mode = std::fs::metadata(ssh.join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
        assert!(out.contains(&format!("\"{}\"", ssh.join(file).display())));
    }
    assert!(std::fs::read_to_string(ssh.join("known_hosts")).unwrap().contains("n1.x.lab ssh-ed25519 "));
    std::fs::create_dir(home.path().join(".ssh")).unwrap();
    home.file(".ssh/config", "Host mine\n  User me\n");
    lab(&["ssh-config", "--merge"]);
    lab(&["ssh-config", "--merge"]);
    let config = std::fs::read_to_string(home.path().join(".ssh/config")).unwrap();
    assert!(config.matches("Include").count() == 1 && config.ends_with("\nHost mine\n  User me\n"), "{config}");
    let hosts = std::fs::read_to_string(ssh.join("config")).unwrap();
    assert!(hosts.contains("ProxyCommand env LAB_STATE_DIR=") && hosts.contains("dial --lab x n1\n"), "{hosts}");
}

/// A lab with a cluster of which a `kubectl` in the search path tells; its service is a port of this host.
fn cluster(home: &Home) -> String {
    home.file("lab.yaml", &format!("{LAB}exports: {{kubeconfig: {{node: n1, path: /etc/conf}}}}\n"));
    let bin = home.path().join("bin");
    std::fs::create_dir(&bin).unwrap();
    std::fs::copy(home.path().join("objects.json"), bin.join("objects.json")).unwrap();
    std::fs::write(bin.join("kubectl"), format!("#!/bin/sh\ncat {}/objects.json\n", bin.display())).unwrap();
    std::fs::set_permissions(bin.join("kubectl"), std::fs::Permissions::from_mode(0o755)).unwrap();
    format!("{}:{}", bin.display(), std::env::var("PATH").unwrap())
}

#[test]
fn ports_are_forwarded_to_services_and_pods_by_name() {
    let home = Home::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let objects = serde_json::json!({"items": [
        {"kind": "Service", "metadata": {"namespace": "default", "name": "webpod"},
            "spec": {"clusterIP": "127.0.0.1", "ports": [{"port": port, "protocol": "TCP"}]}},
        {"kind": "Pod", "metadata": {"namespace": "shop", "name": "till"}, "spec": {"nodeName": "n1"},
            "status": {"podIP": "127.0.0.1", "phase": "Running"}}]});
    home.file("objects.json", &objects.to_string());
    let path = cluster(&home);
    assert_eq!(run(home.lab(&["up", "--driver", "fake"])).2, Some(0));
    let lab = |args: &[&str]| {
        let mut lab = home.lab(args);
        lab.env("PATH", &path);
        lab
    };
    let mut forward = Command::new(assert_cmd::cargo::cargo_bin("lab"));
    forward.args(["forward", "x", ":service/webpod", &format!(":pod/shop/till:{port}")]).current_dir(home.path());
    for (name, value) in lab(&[]).get_envs() {
        forward.env(name, value.unwrap());
    }
    let mut forward = forward.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(forward.stdout.take().unwrap()).lines().map(|l| l.unwrap());
    for named in ["service/webpod", &format!("pod/shop/till:{port}")] {
        let line = lines.next().unwrap();
        assert!(line.ends_with(&format!(" -> n1, 127.0.0.1:{port} ({named})")), "{line}");
        let mut here = std::net::TcpStream::connect(line.split(' ').next().unwrap()).unwrap();
        let (mut there, _) = listener.accept().unwrap();
        there.write_all(b"answer\n").unwrap();
        let mut answer = String::new();
        BufReader::new(&mut here).read_line(&mut answer).unwrap();
        assert_eq!(answer, "answer\n");
    }
    forward.kill().unwrap();
    forward.wait().unwrap();
    for (args, part, code) in [
        (["x", ":service/webpood"], "did you mean `default/webpod`?", 2),
        (["n1", "service/webpod:http"], "its ports: ", 2),
        (["x", ":pod/shop/counter:80"], "there are shop/till", 2),
        (["x", "8080:80"], "name a node of it: n1, node-two", 2),
        (["nowhere", "8080:80"], "there are n1, node-two", 2),
    ] {
        let (_, err, got) = run(lab(&[&["forward"], &args[..]].concat()));
        assert!(got == Some(code) && err.contains(part), "{args:?}: {got:?} {err}");
    }
    // The port of this host is taken by the listener.
    let (_, err, code) = run(lab(&["forward", "x", "service/webpod"]));
    assert!(code == Some(1) && err.contains("any free port: lab forward x :service/webpod"), "{err}");
    home.file("lab.yaml", &LAB.replace("lab: x", "lab: y").replace("n1", "m1").replace("node-two", "m2"));
    assert_eq!(run(home.lab(&["up", "--driver", "fake"])).2, Some(0));
    let (_, err, code) = run(lab(&["forward", "y", ":service/webpod"]));
    assert!(code == Some(2) && err.contains("none of its nodes has access to a cluster"), "{err}");
    let (_, err, code) = run(lab(&["forward", "m1", ":service/webpod"]));
    assert!(code == Some(1) && err.contains("no node that was observed has access to the cluster"), "{err}");
}
