//! The two-node lab in virtual machines: up, again, a killed node, and nothing left at the end.

use crate::pty::Pty;
use crate::support::{Home, run};
use assert_cmd::Command;
use std::collections::BTreeSet;
use std::path::Path;

/// The binary with state of its own and the user's cache, where the images are.
fn lab(home: &Home, args: &[&str]) -> Command {
    let mut command = home.lab(args);
    command.env_remove("LAB_CACHE_DIR");
    command
}

/// Processes of this user that name this folder in their arguments; a zombie has none.
fn processes_of(home: &Home) -> BTreeSet<String> {
    let folder = home.path().to_str().unwrap().to_owned();
    let lines = std::fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| {
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        let line = String::from_utf8_lossy(&std::fs::read(entry.path().join("cmdline")).ok()?).replace('\0', " ");
        line.contains(&folder).then(|| format!("{pid} {line}"))
    });
    lines.collect()
}

fn ok(command: Command) -> String {
    let (out, err, code) = run(command);
    assert_eq!(code, Some(0), "{out}\n{err}");
    out
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
    for line in processes_of(home) {
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

#[test]
fn up_again_killed_and_destroyed() {
    let home = Home::new();
    let up = ["up", "two-nodes", "--driver", "qemu", "--offline"];
    let (out, err, code) = run(lab(&home, &up));
    assert_eq!(code, Some(0), "{out}\n{err}");
    assert!(out.contains("192.168.20.11") && out.contains("two-nodes is up"), "{out}");
    addresses(&home);
    a_shell_on_a_terminal(&home);
    other_programs(&home);
    secrets_are_nowhere_else(&home);
    assert!(ok(lab(&home, &["plan", "two-nodes"])).contains("0 of 10 tasks would run"));
    // The same lab from a file: a path wins over the box, and what was done is done.
    let file = home.file("mine.yaml", include_str!("../../labs/two-nodes.yaml"));
    ok(lab(&home, &["up", file.to_str().unwrap(), "--offline"]));

    let pid = rustix::process::Pid::from_raw(pid_of(&home, "n2")).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    while ok(lab(&home, &["status", "two-nodes"])).matches("running").count() != 1 {
        std::thread::yield_now();
    }
    let (_, err, code) = run(lab(&home, &["ssh", "n2", "-c", "true"]));
    assert_eq!(code, Some(1));
    assert!(err.contains("it is not running") && err.contains("lab up two-nodes"), "{err}");
    let plan = ok(lab(&home, &["plan", "two-nodes"]));
    assert!(plan.contains("1 of 10 tasks would run") && plan.contains("it is stopped"), "{plan}");
    ok(lab(&home, &up));
    let sizes = ok(lab(&home, &["ssh", "n2", "-c", "df -BG --output=size / | tail -1; cat /proc/cmdline"]));
    assert!(sizes.trim_start().starts_with("12G"), "{sizes}");
    ok(lab(&home, &["ssh", "n2", "-c", "ping -c 1 -W 5 n1 && grep n2 /etc/motd"]));

    ok(lab(&home, &["destroy", "two-nodes", "-f"]));
    assert_eq!(processes_of(&home), BTreeSet::new());
    assert_eq!(std::fs::read_dir(home.state()).unwrap().count(), 0);
    assert!(!Path::new(&home.path().join("run")).exists(), "no socket is left");
}
