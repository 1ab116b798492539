//! The two-node lab on both drivers with the same assertions: up, again, a killed node, halted and up again, and nothing
//! left at the end.

use crate::host::{self, lab};
use crate::pty::Pty;
use crate::support::{Home, run};
use assert_cmd::Command;
use std::collections::BTreeSet;
use std::path::Path;

fn ok(command: Command) -> String {
    host::ok(command).0
}

fn pid_of(home: &Home, node: &str) -> i32 {
    let text = std::fs::read(home.state().join(format!("two-nodes/nodes/{node}/process.json"))).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&text).unwrap();
    i32::try_from(json["pid"].as_i64().unwrap()).unwrap()
}

fn secrets_are_nowhere_else(home: &Home) {
    let record = std::fs::read(home.state().join("two-nodes/lab.json")).unwrap();
    let record: serde_json::Value = serde_json::from_slice(&record).unwrap();
    let key = record["login"]["private"].as_str().unwrap().lines().nth(2).unwrap().to_owned();
    for line in host::processes(home) {
        assert!(!line.contains(&key) && !line.contains("PRIVATE KEY"), "no key in an argument list: {line}");
    }
    let logs = home.state().join("two-nodes/logs");
    for entry in std::fs::read_dir(logs).unwrap() {
        assert!(!std::fs::read_to_string(entry.unwrap().path()).unwrap().contains(&key));
    }
}

fn addresses(home: &Home) {
    let show = "ip -brief address show; ip route; hostname; cat /etc/resolv.conf";
    let out = ok(lab(home, &["ssh", "n1", "-c", show]));
    for part in ["10.0.2.15/24", "192.168.20.11/24", "default via 10.0.2.2 dev eth0", "n1"] {
        assert!(out.contains(part), "{part} in {out}");
    }
    let (_, _, code) = run(lab(home, &["ssh", "n2", "-c", "exit 7"]));
    assert_eq!(code, Some(7), "the exit code comes through");
    let mut cat = lab(home, &["ssh", "n2", "-c", "sha256sum"]);
    let big = vec![7u8; 3 << 20];
    let output = cat.write_stdin(big.clone()).output().unwrap();
    let digest: String = sha2_hex(&big);
    assert!(String::from_utf8_lossy(&output.stdout).starts_with(&digest), "pipes are whole in both directions");
    let (_, _, code) =
        run(lab(home, &["ssh", "n1", "-c", "curl -sS --max-time 3 http://10.0.2.2:1/ 2>&1 | grep -q refused"]));
    assert_ne!(code, Some(0), "offline, the host is not reached through the NAT");
}

/// A shell on a terminal: keys, the window's size and its change, the exit code, and the terminal as it was.
fn a_shell_on_a_terminal(home: &Home) {
    let mut pty = Pty::start(&lab(home, &["ssh", "n1"]), 100, 30);
    pty.wait_for("# ");
    pty.type_in("stty size\r");
    pty.wait_for("30 100");
    pty.resize(132, 50);
    pty.type_in("stty size; hostname\r");
    assert!(pty.wait_for("n1\r\n").contains("50 132"), "{}", pty.seen);
    pty.type_in("exit 7\r");
    assert_eq!(pty.end().code(), Some(7), "{}", pty.seen);
    assert!(pty.is_cooked());
    let mut pty = Pty::start(&lab(home, &["ssh", "-t", "n1", "tty"]), 80, 24);
    assert!(pty.end().success() && pty.seen.contains("/dev/pts/"), "{}", pty.seen);
}

/// OpenSSH with what `ssh-config` prints, files there and back, a port.
fn other_programs(home: &Home) {
    let config = home.file("ssh.config", &ok(lab(home, &["ssh-config", "two-nodes"])));
    let ssh = std::process::Command::new("ssh").arg("-F").arg(config).args(["n2", "hostname"]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&ssh.stdout), "n2\n", "{ssh:?}");
    let big: Vec<u8> = (0..=255).cycle().take(5 << 20).collect();
    std::fs::write(home.path().join("big"), &big).unwrap();
    ok(lab(home, &["cp", "big", "n1:/root/there"]));
    ok(lab(home, &["cp", "n1:/root/there", "n2:/root/"]));
    ok(lab(home, &["cp", "n2:/root/there", "back"]));
    assert!(std::fs::read(home.path().join("back")).unwrap() == big);
    assert!(ok(lab(home, &["logs", "--console", "--node", "n1"])).contains("n1 login:"));
}

fn sha2_hex(bytes: &[u8]) -> String {
    use sha2::{Digest, Sha256};
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

fn status(home: &Home) -> String {
    ok(lab(home, &["status", "two-nodes"]))
}

/// Kills the first process of a node, and waits until that is known.
fn kill(home: &Home, node: &str) {
    let pid = rustix::process::Pid::from_raw(pid_of(home, node)).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    // On its way out it does not answer any more, and is not gone yet.
    while !status(home).contains("stopped") {
        std::thread::yield_now();
    }
}

fn identity(home: &Home, node: &str) -> String {
    ok(lab(home, &["ssh", node, "-c", "cat /etc/machine-id /etc/ssh/ssh_host_ed25519_key.pub"]))
}

fn up_again_killed_halted_and_destroyed(driver: &str) {
    let home = Home::new();
    let _gone = host::Gone(&home, "two-nodes");
    let up = ["up", "two-nodes", "--driver", driver, "--offline"];
    // What stays in the background holds nothing that this first `up` was given: here the lock of flock(1).
    let lock = home.path().join("held");
    let mut held = Command::new("flock");
    held.arg(&lock).arg(assert_cmd::cargo::cargo_bin("lab")).args(up).current_dir(home.path());
    held.env("LAB_STATE_DIR", home.state()).env("LAB_RUN_DIR", home.path().join("run"));
    let (out, err, code) = run(held);
    assert!(std::process::Command::new("flock").arg("-n").arg(&lock).arg("true").status().unwrap().success());
    assert_eq!(code, Some(0), "{out}\n{err}");
    assert!(out.contains("192.168.20.11") && out.contains("two-nodes is up"), "{out}");
    assert!(err.contains(&format!("driver {driver}: ")), "{err}");
    addresses(&home);
    a_shell_on_a_terminal(&home);
    other_programs(&home);
    secrets_are_nowhere_else(&home);
    assert!(ok(lab(&home, &["plan", "two-nodes"])).contains("0 of 10 tasks would run"));
    // The same lab from a file: a path wins over the box, and what was done is done.
    let file = home.file("mine.yaml", include_str!("../../labs/two-nodes.yaml"));
    ok(lab(&home, &["up", file.to_str().unwrap(), "--offline"]));

    kill(&home, "n2");
    let (_, err, code) = run(lab(&home, &["ssh", "n2", "-c", "true"]));
    assert_eq!(code, Some(1));
    assert!(err.contains("it is not running") && err.contains("lab up two-nodes"), "{err}");
    let said = status(&home);
    assert!(said.contains("n2: its ") && said.contains("killed"), "{said}");
    let plan = ok(lab(&home, &["plan", "two-nodes"]));
    assert!(plan.contains("2 of 10 tasks would run"), "the node, and the check on it: {plan}");
    assert!(plan.contains("it is stopped") && plan.contains("its node starts again"), "{plan}");

    let before = identity(&home, "n1");
    ok(lab(&home, &["ssh", "n1", "-c", "echo kept > /root/kept && sync"]));
    let out = ok(lab(&home, &["halt", "two-nodes"]));
    assert!(out.contains("halted (1 node)"), "{out}");
    assert_eq!(host::processes(&home), BTreeSet::new(), "a halted lab costs nothing but its disks");
    let said = status(&home);
    assert!(said.matches("stopped").count() == 2 && !said.contains(": its "), "{said}");
    assert!(ok(lab(&home, &["halt", "two-nodes"])).contains("halted (0 nodes)"));
    ok(lab(&home, &up));
    assert_eq!(identity(&home, "n1"), before);
    assert_eq!(ok(lab(&home, &["ssh", "n1", "-c", "cat /root/kept"])), "kept\n");
    ok(lab(&home, &["ssh", "n2", "-c", "ping -c 1 -W 5 n1 && grep n2 /etc/motd"]));
    if driver == "qemu" {
        let sizes = ok(lab(&home, &["ssh", "n2", "-c", "df -BG --output=size / | tail -1"]));
        assert!(sizes.trim_start().starts_with("12G"), "{sizes}");
    }

    ok(lab(&home, &["destroy", "two-nodes", "-f"]));
    assert_eq!(host::processes(&home), BTreeSet::new());
    assert_eq!(std::fs::read_dir(home.state()).unwrap().count(), 0);
    assert!(!Path::new(&home.path().join("run")).exists(), "no socket is left");
}

#[test]
fn virtual_machines() {
    up_again_killed_halted_and_destroyed("qemu");
}

/// Needs root.
#[test]
fn containers() {
    let _alone = host::alone();
    let home = Home::new();
    let before = host::state(&home);
    up_again_killed_halted_and_destroyed("container");
    let left: Vec<String> = host::state(&home).symmetric_difference(&before).cloned().collect();
    assert!(left.is_empty(), "the host is not as it was: {left:?}");
}
