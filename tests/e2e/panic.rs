//! A node whose kernel panics ends the wait at once, with what it said last.

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
    let mut up = home.lab(&["up", file.to_str().unwrap(), "--driver", "qemu", "--offline"]);
    up.env_remove("LAB_CACHE_DIR");
    let (_, err, code) = run(up);
    assert_eq!(code, Some(1), "{err}");
    for part in ["on p1", "its kernel panicked", "sysrq triggered crash", "console.log"] {
        assert!(err.contains(part), "{part} in {err}");
    }
    let mut destroy = home.lab(&["destroy", "panic", "-f"]);
    destroy.env_remove("LAB_CACHE_DIR");
    assert_eq!(run(destroy).2, Some(0));
    assert_eq!(std::fs::read_dir(home.state()).unwrap().count(), 0);
}
