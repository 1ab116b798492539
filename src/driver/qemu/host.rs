//! What the host must have: QEMU's programs, memory, room on disk. Looks, never changes.

use crate::error::{Context, Error, Result};
use crate::lab::model::Node;
use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};
use tokio::process::Command;

/// The emulator and its disk tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    pub system: PathBuf,
    pub img: PathBuf,
    pub version: Version,
}

/// A QEMU release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u32, pub u32, pub u32);

/// QEMU 7.2 crashes Debian 13 guests under emulation.
const OLDEST: Version = Version(8, 2, 0);

/// What a node of the usual labs writes to its disk; less free room ends with read-only file systems in the nodes.
const DISK_PER_NODE: u64 = 2 << 30;

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

impl Version {
    /// Reads the first line of `qemu-system-* --version`.
    fn parse(text: &str) -> Option<Self> {
        let rest = text.split("version ").nth(1)?;
        let number: String = rest.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
        let mut parts = number.split('.').map(|p| p.parse().ok());
        Some(Self(parts.next()??, parts.next()??, parts.next().flatten().unwrap_or(0)))
    }
}

/// Finds QEMU on this search path (the value of `PATH`).
pub async fn find(path: &OsStr) -> Result<Program> {
    let what = "use the qemu driver";
    let remedy = install_command(&std::fs::read_to_string("/etc/os-release").unwrap_or_default());
    let missing = |name: &str| Error::host(what, format!("{name} is not installed")).hint(remedy.clone());
    let system = look_up(path, "qemu-system-x86_64").ok_or_else(|| missing("qemu-system-x86_64"))?;
    let img = look_up(path, "qemu-img").ok_or_else(|| missing("qemu-img"))?;
    let output = Command::new(&system).arg("--version").output().await.context(|| what)?;
    let said = String::from_utf8_lossy(&output.stdout);
    let version = Version::parse(&said).ok_or_else(|| {
        let errors = String::from_utf8_lossy(&output.stderr);
        Error::host(what, format!("{} does not say its version: {}", system.display(), errors.trim()))
            .hint(remedy.clone())
    })?;
    if version < OLDEST {
        let why =
            format!("QEMU {version} is too old, {OLDEST} or newer is needed (older ones crash the nodes' kernel)");
        return Err(Error::host(what, why).hint(remedy));
    }
    Ok(Program { system, img, version })
}

fn look_up(path: &OsStr, name: &str) -> Option<PathBuf> {
    std::env::split_paths(path).map(|dir| dir.join(name)).find(|file| file.is_file())
}

/// The command that installs a new enough QEMU on the system that os-release(5) describes.
fn install_command(os_release: &str) -> String {
    let field = |name: &str| {
        let line = os_release.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix('='));
        line.unwrap_or_default().trim_matches('"').to_owned()
    };
    let (id, codename) = (field("ID"), field("VERSION_CODENAME"));
    let packages = "qemu-system-x86 qemu-utils";
    match (id.as_str(), codename.as_str()) {
        ("debian", "bookworm") => format!(
            "echo \"deb $(grep -rhoEm1 'https?://[^ ]+/debian/?' /etc/apt/sources.list* | head -n1) bookworm-backports \
             main\" | sudo tee /etc/apt/sources.list.d/lab-backports.list && sudo apt update && sudo apt install -y \
             -t bookworm-backports {packages}"
        ),
        ("debian" | "ubuntu" | "linuxmint", _) => format!("sudo apt update && sudo apt install -y {packages}"),
        ("fedora" | "rhel" | "centos", _) => "sudo dnf install -y qemu-system-x86-core qemu-img".into(),
        ("arch", _) => "sudo pacman -S qemu-system-x86 qemu-img".into(),
        _ if cfg!(target_os = "macos") => "brew install qemu".into(),
        _ => format!("install QEMU {OLDEST} or newer: qemu-system-x86_64 and qemu-img"),
    }
}

/// Whether the memory of all these nodes, none of which runs yet, is there.
pub fn memory_problem(nodes: &[Node], meminfo: &str) -> Option<Error> {
    let kib = |name: &str| -> Option<u64> {
        meminfo.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(':')?.split_whitespace().next()?.parse().ok())
    };
    // A host that does not say cannot be judged.
    let free = (kib("MemAvailable")? + kib("SwapFree").unwrap_or(0)) << 10;
    let wanted: u64 = nodes.iter().map(|n| n.memory).sum();
    (wanted > free).then(|| {
        let why = format!("the nodes want {} of memory, {} are free", size(wanted), size(free));
        let spare: Vec<_> = nodes.iter().map(|n| format!("{} {}", n.name, size(n.memory))).collect();
        Error::host("start the nodes", why)
            .hint(format!("end other programs or labs, or lower `memory:` in the lab file ({})", spare.join(", ")))
    })
}

/// Whether there is room for what these nodes will write below `dir`, which may not exist yet.
pub fn disk_problem(nodes: &[Node], dir: &Path) -> Option<Error> {
    let there = dir.ancestors().find(|d| d.is_dir())?;
    let stat = rustix::fs::statvfs(there).ok()?;
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    let wanted: u64 = nodes.iter().map(|n| n.disk.min(DISK_PER_NODE)).sum();
    (wanted > free).then(|| {
        let why = format!("the nodes may write {} below {}, {} are free", size(wanted), dir.display(), size(free));
        Error::host("make the nodes' disks", why).hint(format!(
            "look for what is large: du -xh {} | sort -h | tail; or set LAB_STATE_DIR to a folder on a larger disk",
            there.display()
        ))
    })
}

/// Bytes for people.
fn size(bytes: u64) -> String {
    let tenths = (bytes / (1 << 20)).saturating_mul(10) / 1024;
    if tenths >= 10 { format!("{}.{} GiB", tenths / 10, tenths % 10) } else { format!("{} MiB", bytes >> 20) }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// Makes an executable. A shell writes it: were the file open for writing here, a process that another test starts
    /// at this moment would hold it open too, and the kernel refuses to run such a file.
    pub fn executable(file: &Path, script: &str) {
        let write = "printf '#!/bin/sh\n%s\n' \"$1\" > \"$0\" && chmod 755 \"$0\"";
        let status = std::process::Command::new("sh").arg("-c").arg(write).arg(file).arg(script).status();
        assert!(status.unwrap().success());
    }

    fn fake(dir: &Path, name: &str, says: &str) {
        executable(&dir.join(name), &format!("echo '{says}'"));
    }

    #[tokio::test]
    async fn missing_old_and_good_qemus() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().as_os_str();
        let e = find(path).await.unwrap_err();
        assert_eq!(e.exit_code(), 3);
        assert!(e.why.contains("qemu-system-x86_64 is not installed") && e.hint.is_some());
        fake(dir.path(), "qemu-img", "");
        fake(dir.path(), "qemu-system-x86_64", "QEMU emulator version 7.2.17 (Debian 1:7.2+dfsg-7)");
        assert!(find(path).await.unwrap_err().why.contains("7.2.17 is too old"));
        fake(dir.path(), "qemu-system-x86_64", "nonsense");
        assert!(find(path).await.unwrap_err().why.contains("does not say its version"));
        fake(dir.path(), "qemu-system-x86_64", "QEMU emulator version 10.0.2 (Debian)");
        assert_eq!(find(path).await.unwrap().version, Version(10, 0, 2));
    }

    #[test]
    fn each_system_gets_its_command() {
        let bookworm = install_command("ID=debian\nVERSION_CODENAME=bookworm\n");
        assert!(bookworm.ends_with("-t bookworm-backports qemu-system-x86 qemu-utils"), "{bookworm}");
        assert!(bookworm.contains("sudo tee"), "the source may be missing");
        assert!(bookworm.contains("grep -rhoEm1"), "the mirror is the host's own");
        assert!(!install_command("ID=debian\nVERSION_CODENAME=trixie\n").contains("backports"));
        assert!(install_command("ID=\"fedora\"\n").contains("dnf"));
    }

    #[test]
    fn memory_and_disk_are_checked_for_all_nodes_together() {
        let node = |name: &str| Node { name: name.into(), cpus: 1, memory: 1 << 30, disk: 1 << 60, links: vec![] };
        let info = "MemTotal: 9 kB\nMemAvailable:    1572864 kB\nSwapFree: 0 kB\n";
        assert!(memory_problem(&[node("a")], info).is_none());
        let e = memory_problem(&[node("a"), node("b")], info).unwrap();
        assert!(e.why.contains("want 2.0 GiB") && e.why.contains("1.5 GiB are free"), "{e}");
        assert!(e.hint.unwrap().contains("b 1.0 GiB"));
        assert!(memory_problem(&[node("a")], "").is_none());
        let dir = tempfile::tempdir().unwrap();
        assert!(disk_problem(&[], &dir.path().join("not/yet")).is_none());
        let many = vec![node("a"); 1 << 16];
        assert!(disk_problem(&many, dir.path()).unwrap().why.contains("may write"));
    }
}
