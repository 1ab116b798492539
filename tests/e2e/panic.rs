//! A node whose kernel panics ends the wait at once, with what it said last.

use crate::host::lab;
use crate::support::{Home, run};

const LAB: &str = "\
lab: panic
image: plain
networks: {nat: {kind: nat}}
nodes: {p1: {memory: 512MiB}}
steps:
  - {name: crash, run: 'echo 1 > /proc/sys/kernel/sysrq; echo c > /proc/sysrq-trigger; sleep 3600', timeout: 1h}
";

#[test]
fn a_kernel_panic_is_told_with_the_console() {
    let home = Home::new();
    let file = home.file("panic.yaml", LAB);
    let (_, err, code) = run(lab(&home, &["up", file.to_str().unwrap(), "--driver", "qemu", "--offline"]));
    assert_eq!(code, Some(1), "{err}");
    for part in ["on p1", "its kernel panicked", "sysrq triggered crash", "console.log"] {
        assert!(err.contains(part), "{part} in {err}");
    }
    assert_eq!(run(lab(&home, &["destroy", "panic", "-f"])).2, Some(0));
    assert_eq!(std::fs::read_dir(home.state()).unwrap().count(), 0);
}
