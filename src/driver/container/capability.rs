//! What a node's root may do on the host's kernel, each with its reason.

use super::rootless::{Standing, standing};
use std::collections::BTreeSet;

/// Name, bit (linux/capability.h) and the reason why nodes have it. What the host itself lacks is left out; a node never
/// has SYS_TIME, SYS_MODULE, SYS_RAWIO, SYS_BOOT (it includes kexec), SYSLOG, AUDIT_CONTROL, AUDIT_READ or MAC_*.
const NEEDED: [(&str, u32, &str); 25] = [
    ("CHOWN", 0, "packages and services own files"),
    ("DAC_OVERRIDE", 1, "root writes any file of the node"),
    ("DAC_READ_SEARCH", 2, "root reads any file of the node"),
    ("FOWNER", 3, "modes of other users' files"),
    ("FSETID", 4, "set-id bits of unpacked files"),
    ("KILL", 5, "systemd ends services of any user"),
    ("SETGID", 6, "services and logins run as their groups"),
    ("SETUID", 7, "services and logins run as their users"),
    ("SETPCAP", 8, "systemd and container runtimes drop capabilities"),
    ("LINUX_IMMUTABLE", 9, "journald and packages set file attributes"),
    ("NET_BIND_SERVICE", 10, "ports below 1024"),
    ("NET_BROADCAST", 11, "part of the usual set of services"),
    ("NET_ADMIN", 12, "links, routes and NAT of the node's own network namespace: what the lessons are about"),
    ("NET_RAW", 13, "ping and tcpdump"),
    ("IPC_LOCK", 14, "locked memory of databases"),
    ("IPC_OWNER", 15, "shared memory of other users"),
    ("SYS_CHROOT", 18, "package scripts, sshd and containers change their root"),
    ("SYS_PTRACE", 19, "process lists, and namespaces of other users' processes"),
    ("SYS_ADMIN", 21, "mounts, namespaces and cgroups of systemd and of containers inside the node"),
    ("SYS_NICE", 23, "priorities of services"),
    ("SYS_RESOURCE", 24, "limits of services and a lower oom_score_adj"),
    ("MKNOD", 27, "device nodes of containers inside the node"),
    ("LEASE", 28, "file leases"),
    ("AUDIT_WRITE", 29, "in the set that runtimes give every container; without it none of them starts"),
    ("SETFCAP", 31, "capabilities of unpacked files"),
];

/// The capabilities that a node gets from a process like this one, in the runtime's form.
pub fn granted() -> Vec<String> {
    let mine = own(&std::fs::read_to_string("/proc/self/status").unwrap_or_default());
    mine.into_iter().map(|name| format!("CAP_{name}")).collect()
}

/// Whether nodes may lower oom_score_adj: the kernel asks for a capability of the host's own namespace.
pub fn may_adjust_oom() -> bool {
    standing() == Standing::Root && granted().iter().any(|name| name == "CAP_SYS_RESOURCE")
}

/// Whether this process may make namespaces and mounts at all.
pub fn may_make_nodes() -> bool {
    let mine = granted();
    ["CAP_SYS_ADMIN", "CAP_NET_ADMIN", "CAP_MKNOD"].iter().all(|name| mine.iter().any(|m| m == name))
}

fn own(status: &str) -> BTreeSet<&'static str> {
    // What children get at most: the bounding set counts for root.
    let bits = |field: &str| {
        let line = status.lines().find_map(|l| l.strip_prefix(field)?.strip_prefix(':'));
        line.and_then(|l| u64::from_str_radix(l.trim(), 16).ok()).unwrap_or(0)
    };
    let mine = bits("CapEff") & bits("CapBnd");
    NEEDED.iter().filter(|(_, bit, _)| mine >> bit & 1 == 1).map(|(name, _, _)| *name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_host_lacks_is_left_out() {
        let found = own("Name:\tx\nCapEff:\t000001fffeffffff\nCapBnd:\t000001fffeffffff\n");
        assert!(found.contains("SYS_ADMIN") && !found.contains("SYS_RESOURCE"));
        assert_eq!(found.len(), NEEDED.len() - 1);
        assert!(own("CapEff:\t000001ffffffffff\nCapBnd:\t0000000000000000\n").is_empty());
        assert!(own("").is_empty());
    }
}
