//! What a node must not change of the host's kernel: global keys of /proc/sys are files of the node.

use super::process;
use crate::error::{Context, Result};
use crate::state::process::ProcessId;
use std::fs;
use std::path::Path;
use tokio::process::Command;

/// Keys that programs on nodes set and insist on; the node's own file takes the write. All others are read-only but for
/// those of the node's network namespace.
const KEYS: [&str; 8] = [
    "fs/file-max",
    "fs/nr_open",
    "kernel/keys/root_maxbytes",
    "kernel/keys/root_maxkeys",
    "kernel/panic",
    "kernel/panic_on_oops",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
];

/// The identity of one run of a machine; each start of a node is a run of its own.
const BOOT_ID: &str = "kernel/random/boot_id";

/// Where a node finds the files.
pub const INSIDE: &str = "/run/host/sysctl";

/// Writes the node's files anew, with what the host has now.
pub fn write_files(dir: &Path) -> Result<()> {
    let what = || "write the node's kernel parameters";
    fs::create_dir_all(dir).context(what)?;
    for key in KEYS {
        // A key that this kernel does not have is none for the node either.
        if let Ok(value) = fs::read(Path::new("/proc/sys").join(key)) {
            fs::write(dir.join(file(key)), value).context(what)?;
        }
    }
    let boot = fs::read_to_string("/proc/sys/kernel/random/uuid").context(what)?;
    fs::write(dir.join(file(BOOT_ID)), boot).context(what)
}

fn file(key: &str) -> String {
    key.replace('/', ".")
}

/// Puts the files over the keys, in a node that is made but not started, and shares its mounts between the mount
/// namespaces that systemd and containers make in it, as systemd does on a host; runtimes do it for the root alone.
pub async fn prepare(dir: &Path, node: ProcessId) -> Result<()> {
    let mut script = String::from("set -e\nmount --make-rshared /\n");
    for key in KEYS.iter().chain([&BOOT_ID]).filter(|key| dir.join(file(key)).exists()) {
        script += &format!("mount --bind {INSIDE}/{} /proc/sys/{key}\n", file(key));
    }
    let pid = node.pid.to_string();
    process::run(Command::new("nsenter").args(["-t", &pid, "-m", "-p", "sh"]), &script).await
}

/// The parts of /proc/sys that are the same for all namespaces of the host.
pub fn global_parts() -> Vec<String> {
    let parts = fs::read_dir("/proc/sys").into_iter().flatten().flatten();
    let names = parts.map(|e| e.file_name().to_string_lossy().into_owned());
    let mut all: Vec<String> = names.filter(|n| n != "net").map(|n| format!("/proc/sys/{n}")).collect();
    all.sort();
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_hold_what_the_host_has_and_a_new_identity() {
        let dir = tempfile::tempdir().unwrap();
        let boot = || fs::read_to_string(dir.path().join("kernel.random.boot_id")).unwrap();
        write_files(dir.path()).unwrap();
        let first = boot();
        let panic = fs::read(dir.path().join("kernel.panic")).unwrap();
        assert_eq!(panic, fs::read("/proc/sys/kernel/panic").unwrap());
        write_files(dir.path()).unwrap();
        assert_ne!(first, boot());
        assert!(global_parts().contains(&"/proc/sys/kernel".to_owned()));
        assert!(!global_parts().contains(&"/proc/sys/net".to_owned()));
    }
}
