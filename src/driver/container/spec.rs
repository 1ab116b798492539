//! The runtime's configuration of a node: systemd as the first program of a machine that has no kernel of its own.

use crate::driver::{Facts, NodeSpec};
use crate::error::{Context, Result};
use oci_spec::runtime::Spec;
use serde_json::{Value as Json, json};
use std::path::Path;

/// What a node's root may do, each for a reason; what the host itself lacks is left out.
const CAPABILITIES: [(&str, &str); 25] = [
    ("CHOWN", "package and service files"),
    ("DAC_OVERRIDE", "root reads and writes any file of the node"),
    ("DAC_READ_SEARCH", "the same for looking"),
    ("FOWNER", "modes of files of others"),
    ("FSETID", "set-id bits while unpacking"),
    ("KILL", "systemd ends services of any user"),
    ("SETGID", "services run as their groups"),
    ("SETUID", "services run as their users"),
    ("SETPCAP", "services drop capabilities"),
    ("LINUX_IMMUTABLE", "file attributes"),
    ("NET_BIND_SERVICE", "ports below 1024"),
    ("NET_BROADCAST", "DHCP clients"),
    ("NET_ADMIN", "links, routes and rules of its own network namespace: what the lessons are about"),
    ("NET_RAW", "ping, tcpdump"),
    ("IPC_LOCK", "locked memory"),
    ("IPC_OWNER", "shared memory of others"),
    ("SYS_CHROOT", "containers inside the node"),
    ("SYS_PTRACE", "looking at processes of others"),
    ("SYS_ADMIN", "mounts, namespaces and cgroups of containers inside the node"),
    ("SYS_NICE", "priorities of services"),
    ("SYS_RESOURCE", "limits of services; lowering oom_score_adj"),
    ("MKNOD", "device nodes of containers inside"),
    ("LEASE", "file leases"),
    ("SETFCAP", "capabilities of files while unpacking"),
    ("AUDIT_WRITE", "in the default set of containers inside: without it none of them starts"),
];

/// Character devices that a node may use: null, zero, full, random, urandom, tty, console, ptmx, pts, tun.
const DEVICES: [(i64, Option<i64>); 10] = [
    (1, Some(3)),
    (1, Some(5)),
    (1, Some(7)),
    (1, Some(8)),
    (1, Some(9)),
    (5, Some(0)),
    (5, Some(1)),
    (5, Some(2)),
    (136, None),
    (10, Some(200)),
];

/// Processes of a node; a fork bomb ends here.
const PIDS: i64 = 32_768;

/// Writes `config.json` into the node's folder.
pub fn write(
    spec: &NodeSpec,
    facts: &Facts,
    root: &Path,
    volumes: &[(String, std::path::PathBuf)],
    to: &Path,
) -> Result<()> {
    let what = || "write the runtime's configuration";
    let config: Spec = serde_json::from_value(config(spec, facts, root, volumes)).context(what)?;
    config.save(to).context(what)
}

/// The machine id, the same at every start: some programs take a new one for a new machine.
pub fn machine_id(spec: &NodeSpec) -> String {
    let digest = blake3::hash(format!("{}\n{}\n{}", spec.lab, spec.node.name, spec.seed.host_key_public).as_bytes());
    digest.to_hex()[..32].to_owned()
}

fn config(spec: &NodeSpec, facts: &Facts, root: &Path, volumes: &[(String, std::path::PathBuf)]) -> Json {
    let mut args = vec!["/lib/systemd/systemd"];
    let mut env = vec![
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned(),
        "container=lab".to_owned(),
        format!("container_uuid={}", machine_id(spec)),
    ];
    if facts.cgroup_v1 {
        // systemd 257 refuses the old hierarchy unless it is told twice.
        env.push("SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1".to_owned());
        args.extend(["systemd.unified_cgroup_hierarchy=0", "systemd.legacy_systemd_cgroup_controller=1"]);
    }
    let mine = super::host::capabilities();
    let names: Vec<String> =
        CAPABILITIES.iter().filter(|(name, _)| mine.contains(name)).map(|(name, _)| format!("CAP_{name}")).collect();
    let open_files = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum.unwrap_or(1 << 20);
    let namespaces = ["pid", "network", "ipc", "uts", "mount", "cgroup"].map(|kind| json!({"type": kind})).to_vec();
    json!({
        "ociVersion": "1.0.2",
        "process": {
            "terminal": false,
            "user": {"uid": 0, "gid": 0},
            "args": args,
            "env": env,
            "cwd": "/",
            "capabilities": {"bounding": names, "effective": names, "permitted": names},
            "rlimits": [{"type": "RLIMIT_NOFILE", "hard": open_files.min(1 << 20), "soft": 1024}],
            "noNewPrivileges": false
        },
        "root": {"path": root, "readonly": false},
        "hostname": spec.node.name,
        "mounts": mounts(volumes),
        "linux": {
            "namespaces": namespaces,
            "cgroupsPath": super::cgroup_path(&spec.place),
            "resources": resources(spec),
            "rootfsPropagation": "shared",
            "devices": [{"path": "/dev/net/tun", "type": "c", "major": 10, "minor": 200, "fileMode": 0o666}],
            "maskedPaths": ["/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware"],
            // Everything below /proc/sys but net is the host's.
            "readonlyPaths": [
                "/proc/bus", "/proc/irq", "/proc/sysrq-trigger", "/proc/sys/abi", "/proc/sys/debug", "/proc/sys/dev",
                "/proc/sys/fs", "/proc/sys/kernel", "/proc/sys/user", "/proc/sys/vm"
            ]
        }
    })
}

fn resources(spec: &NodeSpec) -> Json {
    let mut devices = vec![json!({"allow": false, "access": "rwm"})];
    for (major, minor) in DEVICES {
        let mut device = json!({"allow": true, "type": "c", "major": major, "access": "rwm"});
        if let Some(minor) = minor {
            device["minor"] = minor.into();
        }
        devices.push(device);
    }
    // Making a device node is no use of the device.
    devices.extend(["b", "c"].map(|kind| json!({"allow": true, "type": kind, "access": "m"})));
    json!({
        "devices": devices,
        "memory": {"limit": spec.node.memory},
        "cpu": {"quota": i64::from(spec.node.cpus) * 100_000, "period": 100_000},
        "pids": {"limit": PIDS}
    })
}

fn mounts(volumes: &[(String, std::path::PathBuf)]) -> Vec<Json> {
    let mount = |destination: &str, kind: &str, options: &[&str]| json!({"destination": destination, "type": kind, "source": kind, "options": options});
    let mut all = vec![
        mount("/proc", "proc", &["nosuid", "noexec", "nodev"]),
        // Read-only: udev would act on the host's devices, and networkd takes it as the sign of a container.
        mount("/sys", "sysfs", &["nosuid", "noexec", "nodev", "ro"]),
        mount("/sys/fs/cgroup", "cgroup", &["nosuid", "noexec", "nodev", "relatime"]),
        mount("/dev", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
        mount("/dev/pts", "devpts", &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]),
        mount("/dev/shm", "tmpfs", &["nosuid", "noexec", "nodev", "mode=1777"]),
        mount("/dev/mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
        mount("/run", "tmpfs", &["nosuid", "nodev", "mode=755"]),
        mount("/tmp", "tmpfs", &["nosuid", "nodev", "mode=1777"]),
    ];
    for (path, source) in volumes {
        all.push(json!({"destination": path, "type": "bind", "source": source, "options": ["rbind", "rw"]}));
    }
    all
}
