//! What the host must have for system containers. Looks, never changes.

use crate::error::Error;
use crate::lab::model::Node;
use std::collections::BTreeSet;
use std::path::Path;

/// The names of capabilities by their bits (linux/capability.h), as far as nodes use them.
const BITS: [(u32, &str); 25] = [
    (0, "CHOWN"),
    (1, "DAC_OVERRIDE"),
    (2, "DAC_READ_SEARCH"),
    (3, "FOWNER"),
    (4, "FSETID"),
    (5, "KILL"),
    (6, "SETGID"),
    (7, "SETUID"),
    (8, "SETPCAP"),
    (9, "LINUX_IMMUTABLE"),
    (10, "NET_BIND_SERVICE"),
    (11, "NET_BROADCAST"),
    (12, "NET_ADMIN"),
    (13, "NET_RAW"),
    (14, "IPC_LOCK"),
    (15, "IPC_OWNER"),
    (18, "SYS_CHROOT"),
    (19, "SYS_PTRACE"),
    (21, "SYS_ADMIN"),
    (23, "SYS_NICE"),
    (24, "SYS_RESOURCE"),
    (27, "MKNOD"),
    (28, "LEASE"),
    (29, "AUDIT_WRITE"),
    (31, "SETFCAP"),
];

/// Programs that the driver runs.
const PROGRAMS: [&str; 6] = ["runc", "ip", "nsenter", "unshare", "mount", "slirp4netns"];

/// Kernel features by a path that is there when they are, and what loads them.
const FEATURES: [(&str, &str, &str); 3] = [
    ("bridge", "/sys/module/bridge", "sudo modprobe bridge"),
    ("vxlan", "/sys/module/vxlan", "sudo modprobe vxlan"),
    ("br_netfilter", "/proc/sys/net/bridge", "sudo modprobe br_netfilter"),
];

/// inotify instances that a node with a whole cluster on it uses, rounded up; counted per user, so nodes share root's.
const INOTIFY_PER_NODE: u64 = 32;

/// The capabilities of this process.
pub fn capabilities() -> BTreeSet<&'static str> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    parse(&status)
}

fn parse(status: &str) -> BTreeSet<&'static str> {
    let line = status.lines().find_map(|l| l.strip_prefix("CapEff:"));
    let bits = line.and_then(|l| u64::from_str_radix(l.trim(), 16).ok()).unwrap_or(0);
    BITS.iter().filter(|(bit, _)| bits >> bit & 1 == 1).map(|(_, name)| *name).collect()
}

/// Whether the host's cgroup controllers are of the old kind; a hybrid host's are.
pub fn cgroup_v1() -> bool {
    !Path::new("/sys/fs/cgroup/cgroup.controllers").exists()
}

/// Every problem with its remedy.
pub fn problems(nodes: &[Node]) -> Vec<Error> {
    let mut all = Vec::new();
    let what = "use the container driver";
    if !rustix::process::geteuid().is_root() {
        all.push(Error::host(what, "it needs root on this version of lab").hint("sudo lab up, or --driver qemu"));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let there = |name: &&str| std::env::split_paths(&path).any(|dir| dir.join(name).is_file());
    let missing: Vec<&str> = PROGRAMS.into_iter().filter(|name| !there(name)).collect();
    if !missing.is_empty() {
        let why = format!("missing on this host: {}", missing.join(", "));
        all.push(Error::host(what, why).hint("sudo apt install -y runc slirp4netns iproute2 util-linux"));
    }
    for (feature, path, remedy) in FEATURES {
        if !Path::new(path).exists() {
            all.push(Error::host(what, format!("the kernel has no {feature}")).hint(remedy));
        }
    }
    let key = "/proc/sys/fs/inotify/max_user_instances";
    let instances = std::fs::read_to_string(key).ok().and_then(|t| t.trim().parse::<u64>().ok());
    if instances.is_some_and(|n| n < INOTIFY_PER_NODE * nodes.len() as u64) {
        let why = format!("fs.inotify.max_user_instances is {}, nodes need more", instances.unwrap_or(0));
        let hint =
            format!("sudo sysctl fs.inotify.max_user_instances={}", 512.max(INOTIFY_PER_NODE * nodes.len() as u64));
        all.push(Error::host(what, why).hint(hint));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_read_by_their_bits() {
        let found = parse("Name: x\nCapEff:\t000001fffeffffff\n");
        assert!(found.contains("SYS_ADMIN") && !found.contains("SYS_RESOURCE"));
        assert!(parse("nothing").is_empty());
    }
}
