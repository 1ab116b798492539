//! A virtual machine that hangs, as one whose QEMU is stopped: told while a step runs, and left to go on when it is back.

use crate::host::{self, Gone, lab, ok};
use crate::support::{Home, run};
use rustix::process::{Pid, Signal, kill_process};

const LAB: &str = "\
lab: silent
image: plain
networks: {nat: {kind: nat}}
nodes: {s1: {memory: 512MiB}}
steps:
  - {name: long, run: 'touch /run/begun; until test -e /run/go; do sleep 1; done', timeout: 1h}
";

#[test]
fn a_virtual_machine_that_hangs_is_told_and_goes_on_when_it_is_back() {
    let home = Home::new();
    let _gone = Gone(&home, "silent");
    let file = home.file("silent.yaml", LAB);
    let (mut child, mut lines) = host::begin(&home, &file, "qemu");
    lines.find(|line| line.contains("long ...")).unwrap();
    while run(lab(&home, &["ssh", "s1", "-c", "test -e /run/begun"])).2 != Some(0) {}
    let text = std::fs::read(home.state().join("silent/nodes/s1/process.json")).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&text).unwrap();
    let qemu = Pid::from_raw(i32::try_from(json["pid"].as_i64().unwrap()).unwrap()).unwrap();
    kill_process(qemu, Signal::STOP).unwrap();
    let told = lines.find(|line| line.contains("s1: it runs, but has not answered for ")).unwrap();
    println!("{told}");
    let (out, _) = ok(lab(&home, &["status", "silent"]));
    println!("{out}");
    assert!(out.contains("no answer") && out.contains("s1: it runs, but does not answer"), "{out}");
    kill_process(qemu, Signal::CONT).unwrap();
    println!("{}", lines.find(|line| line.contains("s1: it answers again")).unwrap());
    ok(lab(&home, &["ssh", "s1", "-c", "touch /run/go"]));
    let rest: Vec<String> = lines.collect();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{rest:?}");
    // One that hangs is destroyed like any other.
    kill_process(qemu, Signal::STOP).unwrap();
    ok(lab(&home, &["destroy", "silent", "-f"]));
    assert_eq!(std::fs::read_dir(home.state()).unwrap().count(), 0);
}
