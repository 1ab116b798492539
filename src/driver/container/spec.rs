//! The runtime's configuration: systemd as the first program of a machine that has no kernel of its own.

use super::rootless::{self, Standing};
use super::{capability, kernel, ready};
use crate::error::{Context, Result};
use oci_spec::runtime::Spec;
use serde_json::{Value as Json, json};
use std::path::Path;

/// What differs between nodes.
pub struct Machine<'a> {
    /// Its cgroup, from the root of each hierarchy.
    pub cgroup: String,
    pub hostname: &'a str,
    /// The root file system.
    pub root: &'a Path,
    /// The first program and what it is told.
    pub args: Vec<String>,
    pub env: Vec<String>,
    /// Beside those that every machine has.
    pub mounts: Vec<Json>,
}

/// Writes `config.json` into the machine's folder.
pub fn write(machine: &Machine<'_>, dir: &Path) -> Result<()> {
    let what = || "write the runtime's configuration";
    let spec: Spec = serde_json::from_value(config(machine)).context(what)?;
    spec.save(dir.join("config.json")).context(what)
}

/// systemd as the first program: its arguments and its environment.
pub fn systemd(v1: bool, uuid: &str) -> (Vec<String>, Vec<String>) {
    let mut args = vec!["/lib/systemd/systemd"];
    let uuid = format!("container_uuid={uuid}");
    let notify = format!("NOTIFY_SOCKET={}", ready::INSIDE);
    let mut env = vec!["container=lab", &uuid, &notify, "CREDENTIALS_DIRECTORY=/run/host/credentials"];
    env.push("SYSTEMD_COLORS=0");
    if v1 {
        // systemd 256 and 257 refuse the old layout unless they are told twice; 258 has no old layout.
        env.push("SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1");
        args.extend(["systemd.unified_cgroup_hierarchy=0", "systemd.legacy_systemd_cgroup_controller=1"]);
    }
    let owned = |list: Vec<&str>| list.into_iter().map(str::to_owned).collect();
    (owned(args), owned(env))
}

fn config(machine: &Machine<'_>) -> Json {
    let capabilities = capability::granted();
    let mut env = vec!["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned()];
    env.extend(machine.env.iter().cloned());
    let mut mounts = base_mounts();
    mounts.extend(silent_kernel());
    mounts.extend(machine.mounts.iter().cloned());
    let mut read_only = kernel::global_parts();
    read_only.extend(["/proc/bus", "/proc/irq", "/proc/sysrq-trigger"].map(str::to_owned));
    let namespaces = ["pid", "network", "ipc", "uts", "mount", "cgroup"].map(|kind| json!({"type": kind}));
    json!({
        "ociVersion": "1.0.2",
        "process": {
            "terminal": false,
            "user": {"uid": 0, "gid": 0},
            "args": machine.args,
            "env": env,
            "cwd": "/",
            "capabilities": {"bounding": capabilities, "effective": capabilities, "permitted": capabilities},
            "rlimits": [{"type": "RLIMIT_NOFILE", "hard": open_files(), "soft": 1024}],
            "noNewPrivileges": false
        },
        "root": {"path": machine.root, "readonly": false},
        "hostname": machine.hostname,
        "mounts": mounts,
        "linux": {
            "namespaces": namespaces,
            "cgroupsPath": machine.cgroup,
            "resources": {"devices": device_rules()},
            "devices": devices(),
            // The last one has the host's serial number, which would be the same on all nodes.
            "maskedPaths": [
                "/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware", "/sys/devices/virtual/dmi"
            ],
            "readonlyPaths": read_only
        }
    })
}

/// Devices beside the usual ones.
fn devices() -> Vec<Json> {
    let device = |path: &str, major: u32, minor: u32, mode: u32| json!({"path": path, "type": "c", "major": major, "minor": minor, "fileMode": mode, "uid": 0, "gid": 0});
    let mut all = vec![device("/dev/net/tun", 10, 200, 0o666)];
    if rootless::standing() == Standing::Root {
        // The kernel's messages are the host's; programs that insist on the device find a silent one.
        all.push(device("/dev/kmsg", 1, 3, 0o600));
    }
    all
}

/// The same where nobody may make devices, and runtimes give the host's of that name instead.
fn silent_kernel() -> Option<Json> {
    let silent = json!({"destination": "/dev/kmsg", "type": "bind", "source": "/dev/null", "options": ["bind", "rw"]});
    (rootless::standing() != Standing::Root).then_some(silent)
}

/// As many open files as the host lets us give, within reason: some programs close each of them at their start.
fn open_files() -> u64 {
    let own = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum;
    own.map_or(1 << 20, |n| n.min(1 << 20))
}

/// Devices that a node may use: null, zero, full, random, urandom, tty, console, ptmx, pts, tun. Container runtimes inside
/// must be told that their privileged containers get no others.
fn device_rules() -> Vec<Json> {
    let mut rules = vec![json!({"allow": false, "access": "rwm"})];
    let usable = [(1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 1), (5, 2), (10, 200)];
    rules
        .extend(usable.map(
            |(major, minor)| json!({"allow": true, "type": "c", "major": major, "minor": minor, "access": "rwm"}),
        ));
    rules.push(json!({"allow": true, "type": "c", "major": 136, "access": "rwm"}));
    // To make a device node is not to use the device.
    rules.extend(["b", "c"].map(|kind| json!({"allow": true, "type": kind, "access": "m"})));
    rules
}

fn base_mounts() -> Vec<Json> {
    let mount = |destination: &str, kind: &str, options: &[&str]| json!({"destination": destination, "type": kind, "source": kind, "options": options});
    vec![
        mount("/proc", "proc", &["nosuid", "noexec", "nodev"]),
        // Read-only: udev would act on the host's devices; networkd takes it as the sign that there is no udev.
        mount("/sys", "sysfs", &["nosuid", "noexec", "nodev", "ro"]),
        mount("/sys/fs/cgroup", "cgroup", &["nosuid", "noexec", "nodev", "relatime"]),
        mount("/dev", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
        mount("/dev/pts", "devpts", &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]),
        mount("/dev/shm", "tmpfs", &["nosuid", "noexec", "nodev", "mode=1777"]),
        mount("/dev/mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
        mount("/run", "tmpfs", &["nosuid", "nodev", "mode=755"]),
        mount("/tmp", "tmpfs", &["nosuid", "nodev", "mode=1777"]),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_a_valid_configuration_that_keeps_the_host_apart() {
        let (args, env) = systemd(true, "0123");
        let machine = Machine {
            cgroup: "/lab-x/node".into(),
            hostname: "n1",
            root: Path::new("/r"),
            args,
            env,
            mounts: vec![json!({"destination": "/var", "type": "bind", "source": "/v", "options": ["rbind", "rw"]})],
        };
        let dir = tempfile::tempdir().unwrap();
        write(&machine, dir.path()).unwrap();
        let json: Json = serde_json::from_slice(&std::fs::read(dir.path().join("config.json")).unwrap()).unwrap();
        assert_eq!(json["process"]["noNewPrivileges"], false);
        assert_eq!(json["linux"]["cgroupsPath"], "/lab-x/node");
        let read_only = json["linux"]["readonlyPaths"].as_array().unwrap();
        assert!(read_only.contains(&"/proc/sys/kernel".into()) && !read_only.contains(&"/proc/sys/net".into()));
        assert_eq!(json["mounts"].as_array().unwrap().last().unwrap()["destination"], "/var");
        assert!(json["process"]["env"].as_array().unwrap().contains(&"container_uuid=0123".into()));
        let granted = json["process"]["capabilities"]["bounding"].as_array().unwrap();
        assert!(!granted.iter().any(|c| c == "CAP_SYS_TIME" || c == "CAP_SYS_BOOT" || c == "CAP_SYS_MODULE"));
    }

    #[test]
    fn disks_of_the_host_are_no_devices_of_a_node() {
        let rules = device_rules();
        assert_eq!(rules[0], json!({"allow": false, "access": "rwm"}), "the first rule closes everything");
        assert!(rules.iter().skip(1).all(|r| r["type"] == "c" || r["access"] == "m"));
    }
}
