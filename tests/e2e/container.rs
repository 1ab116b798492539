//! What only container nodes have to be told: reboots, helpers that die, memory that is full. Needs root.

use crate::host::{self, lab, ok};
use crate::support::{Home, run};
use std::process::Command as Program;

const LAB: &str = "\
lab: small
image: plain
networks: {nat: {kind: nat}, lan: {kind: host-only, subnet: 192.168.20.0/24}}
nodes:
  c1: {memory: 256MiB, networks: {lan: 192.168.20.11}}
  c2: {memory: 256MiB, networks: {lan: 192.168.20.12}}
";

fn on(home: &Home, node: &str, script: &str) -> String {
    ok(lab(home, &["ssh", node, "-c", script])).0
}

fn up(home: &Home, steps: &str) -> (String, String, Option<i32>) {
    let file = home.file("small.yaml", &format!("{LAB}{steps}"));
    run(lab(home, &["up", file.to_str().unwrap(), "--driver", "container", "--offline"]))
}

/// Waits until a node answers and says something else than before. What happens on a node has no event on the host.
fn until_other(home: &Home, node: &str, script: &str, before: &str) -> String {
    loop {
        let (out, _, code) = run(lab(home, &["ssh", node, "-c", script]));
        if code == Some(0) && out != before {
            return out;
        }
    }
}

fn pids(pattern: &str) -> Vec<String> {
    let found = Program::new("pgrep").args(["-f", pattern]).output().unwrap();
    String::from_utf8(found.stdout).unwrap().split_whitespace().map(str::to_owned).collect()
}

#[test]
fn a_node_that_reboots_comes_back_and_one_whose_way_out_dies_keeps_its_links() {
    let _alone = host::alone();
    let home = Home::new();
    let _gone = host::Gone(&home, "small");
    let (_, err, code) = up(&home, "steps: []\n");
    assert_eq!(code, Some(0), "{err}");
    let boot = on(&home, "c1", "cat /proc/sys/kernel/random/boot_id");
    run(lab(&home, &["ssh", "c1", "-c", "systemctl reboot"]));
    until_other(&home, "c1", "cat /proc/sys/kernel/random/boot_id", &boot);
    on(&home, "c1", "ping -c 1 -W 5 192.168.20.12");

    // A device that stands on eth1 goes with it: it stays when all helpers of the lab die at once.
    on(&home, "c2", "ip link add vxlan9 type vxlan id 9 dev eth1 dstport 9999 && ip link set vxlan9 up");
    let sockets = format!("slirp4netns.*--api-socket={}", home.path().display());
    let helpers = pids(&sockets);
    assert_eq!(helpers.len(), 2);
    assert!(Program::new("kill").arg("-9").args(&helpers).status().unwrap().success());
    while pids(&sockets).len() < 2 || pids(&sockets).iter().any(|pid| helpers.contains(pid)) {
        std::thread::yield_now();
    }
    let links = until_other(&home, "c2", "ip -br link show dev eth1 && ip -br link show dev vxlan9", "");
    assert!(links.contains("vxlan9"), "{links}");
    on(&home, "c2", "ping -c 1 -W 5 192.168.20.11");
    ok(lab(&home, &["destroy", "small", "-f"]));
    assert_eq!(host::processes(&home), Default::default());
}

#[test]
fn a_full_memory_stays_in_the_node_and_is_told() {
    let _alone = host::alone();
    let home = Home::new();
    let _gone = host::Gone(&home, "small");
    // It looks for the last line of a file without an end.
    let (_, err, code) = up(&home, "steps:\n  - {name: eat, on: c1, run: tail /dev/zero}\n");
    assert_eq!(code, Some(1), "{err}");
    assert!(err.contains("c1: the kernel killed a process in it because memory was full"), "{err}");
    let (out, _) = ok(lab(&home, &["status", "small"]));
    assert_eq!(out.matches("running").count(), 2, "the nodes live on: {out}");
    assert!(out.contains("c1: the kernel killed") && !out.contains("c2: "), "{out}");
    ok(lab(&home, &["destroy", "small", "-f"]));
}

#[test]
fn a_node_whose_first_process_is_killed_ends_a_running_up() {
    let _alone = host::alone();
    let home = Home::new();
    let _gone = host::Gone(&home, "small");
    let steps = "steps:\n  - {name: long, on: c1, run: 'touch /run/begun; sleep 3600', timeout: 1h}\n";
    let (_, err, code) = std::thread::scope(|scope| {
        let up = scope.spawn(|| up(&home, steps));
        while run(lab(&home, &["ssh", "c1", "-c", "test -e /run/begun"])).2 != Some(0) {
            assert!(!up.is_finished());
        }
        let text = std::fs::read(home.state().join("small/nodes/c1/process.json")).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&text).unwrap();
        let pid = rustix::process::Pid::from_raw(i32::try_from(json["pid"].as_i64().unwrap()).unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        up.join().unwrap()
    });
    assert_eq!(code, Some(1), "{err}");
    assert!(err.contains("on c1: its first process was killed") && err.contains("`lab up` starts it again"), "{err}");
    ok(lab(&home, &["destroy", "small", "-f"]));
}
