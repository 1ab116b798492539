//! What the host must have for system containers, each with the command that mends it. Looks, never changes.

use super::rootless::{Standing, standing};
use super::{capability, cgroup, engine, nat, ordinary};
use crate::error::Error;
use crate::lab::model::Node;
use std::ffi::OsStr;
use std::path::Path;

/// Programs that the driver runs, with the Debian packages that bring them. The runtime is looked for by trying it.
const PROGRAMS: [(&str, &str); 8] = [
    ("slirp4netns", "slirp4netns"),
    ("ip", "iproute2"),
    ("nsenter", "util-linux"),
    ("unshare", "util-linux"),
    ("mount", "mount"),
    ("tar", "tar"),
    ("tee", "coreutils"),
    ("sh", "dash"),
];

/// Parts of the kernel by a path that is there when they are, and the modules that bring them: nodes cannot load modules.
const FEATURES: [(&str, &str); 6] = [
    ("overlay", "/sys/module/overlay"),
    ("bridge", "/sys/module/bridge"),
    ("vxlan", "/sys/module/vxlan"),
    ("br_netfilter", "/proc/sys/net/bridge"),
    ("nf_conntrack", "/sys/module/nf_conntrack"),
    ("tun", "/dev/net/tun"),
];

/// What one node's systemd and its containers watch, counted per user: nodes share root's. Measured with a cluster's
/// agents: 20 instances.
const INSTANCES_PER_NODE: u64 = 24;
/// What the host's own programs may have.
const INSTANCES_OF_HOST: u64 = 16;
const WATCHES_PER_NODE: u64 = 8192;
/// Processes of one busy node.
const PIDS_PER_NODE: u64 = 2048;

const WHAT: &str = "use the container driver";

/// Every problem of the host for these nodes.
pub fn problems(nodes: &[Node]) -> Vec<Error> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let count = nodes.len() as u64;
    let limit = |key: &str| {
        let text = std::fs::read_to_string(Path::new("/proc/sys").join(key.replace('.', "/"))).ok()?;
        text.trim().parse::<u64>().ok()
    };
    let mut all = Vec::new();
    match standing() {
        Standing::Outside => all.extend(ordinary::problems(&path)),
        _ => {
            all.extend(privileges(capability::may_make_nodes()));
            all.extend(cgroup::problem(Path::new(cgroup::ROOT)));
        }
    }
    all.extend(programs(&path));
    all.extend(runtime(&path));
    all.extend(features(&builtin_parts(), |path| Path::new(path).exists()));
    for (key, least) in [
        ("fs.inotify.max_user_instances", INSTANCES_OF_HOST + INSTANCES_PER_NODE * count),
        ("fs.inotify.max_user_watches", WATCHES_PER_NODE * count),
        ("kernel.pid_max", PIDS_PER_NODE * count),
    ] {
        all.extend(too_low(key, limit(key), least));
    }
    all
}

fn privileges(enough: bool) -> Option<Error> {
    let error = Error::host(WHAT, "it needs root: mounts, network namespaces and cgroups of the host");
    (!enough).then(|| error.hint("run lab as root (sudo -E lab up), or --driver qemu"))
}

/// Whether a program is on this path.
pub fn there(path: &OsStr) -> impl Fn(&str) -> bool {
    |name| std::env::split_paths(path).any(|dir| dir.join(name).is_file())
}

/// The programs of a table (with the Debian packages that bring them) that are not there, and the command that brings them.
pub fn not_installed(table: &[(&str, &str)], there: impl Fn(&str) -> bool) -> Option<(String, String)> {
    let missing = table.iter().filter(|(name, _)| !there(name));
    let (names, mut packages): (Vec<&str>, Vec<&str>) = missing.copied().unzip();
    packages.dedup();
    (!names.is_empty()).then(|| (names.join(", "), format!("sudo apt install -y {}", packages.join(" "))))
}

fn programs(path: &OsStr) -> Option<Error> {
    let (names, hint) = not_installed(&PROGRAMS, there(path))?;
    Some(Error::host(WHAT, format!("not installed: {names}")).hint(hint))
}

/// Which of them works is found by trying; that there is one can be said before an image is built.
fn runtime(path: &OsStr) -> Option<Error> {
    let none = !engine::CANDIDATES.into_iter().any(there(path));
    none.then(|| Error::host(WHAT, "neither runc nor crun is installed").hint("sudo apt install -y runc"))
}

/// The parts that are built into the running kernel, where it says: those without parameters appear nowhere else.
fn builtin_parts() -> String {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    std::fs::read_to_string(format!("/lib/modules/{}/modules.builtin", release.trim())).unwrap_or_default()
}

fn features(builtin: &str, exists: impl Fn(&str) -> bool) -> Option<Error> {
    let is_builtin = |name: &str| builtin.lines().any(|l| l.ends_with(&format!("/{name}.ko")));
    let missing: Vec<&str> =
        FEATURES.into_iter().filter(|(name, path)| !is_builtin(name) && !exists(path)).map(|(name, _)| name).collect();
    (!missing.is_empty()).then(|| {
        let names = missing.join(" ");
        let hint = format!(
            "sudo modprobe -a {names}; for every boot: printf '%s\\n' {names} | sudo tee /etc/modules-load.d/lab.conf"
        );
        Error::host(WHAT, format!("the kernel lacks or has not loaded: {}", missing.join(", "))).hint(hint)
    })
}

fn too_low(key: &str, now: Option<u64>, least: u64) -> Option<Error> {
    let now = now.filter(|now| *now < least)?;
    let error = Error::host(WHAT, format!("{key} is {now}, these nodes need {least}"));
    Some(error.hint(format!("sudo sysctl {key}={least}")))
}

/// Whether an offline node could reach out after all.
pub fn offline_problem() -> Option<Error> {
    let why = "net.ipv4.ip_nonlocal_bind is on, so nothing would hold the traffic of the nodes back";
    nat::leaks_offline()
        .then(|| Error::host("start the node offline", why).hint("sudo sysctl net.ipv4.ip_nonlocal_bind=0"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_problem_names_the_command_that_mends_it() {
        let hint = |e: Option<Error>| e.and_then(|e| e.hint).unwrap();
        assert!(hint(privileges(false)).contains("sudo"));
        let dir = tempfile::tempdir().unwrap();
        assert!(
            hint(programs(dir.path().as_os_str())).starts_with("sudo apt install -y slirp4netns iproute2 util-linux")
        );
        assert!(hint(runtime(dir.path().as_os_str())).contains("apt install -y runc"));
        let missing = features("", |path| path.contains("overlay") || path.contains("nf_"));
        assert!(hint(missing).contains("sudo modprobe -a bridge vxlan br_netfilter tun;"));
        assert!(hint(too_low("a.b", Some(1), 2)).contains("sysctl a.b=2"));
    }

    #[test]
    fn a_host_that_has_it_all_has_no_problem() {
        assert!(privileges(true).is_none());
        assert!(features("", |_| true).is_none());
        let builtin = "kernel/drivers/net/vxlan/vxlan.ko\n";
        assert!(features(builtin, |path| !path.contains("vxlan")).is_none());
        assert!(too_low("a.b", Some(2), 2).is_none() && too_low("a.b", None, 2).is_none());
    }
}
