//! The binary on this host, and what nodes could leave here, as lines that can be compared.

use crate::support::{Home, run};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The binary with state of its own and the user's cache, where the images are.
pub fn lab(home: &Home, args: &[&str]) -> assert_cmd::Command {
    let mut command = home.lab(args);
    command.env_remove("LAB_CACHE_DIR");
    command
}

/// What a command that must succeed printed to stdout and stderr.
pub fn ok(command: assert_cmd::Command) -> (String, String) {
    let (out, err, code) = run(command);
    assert_eq!(code, Some(0), "{out}\n{err}");
    (out, err)
}

/// `lab -v up` of this file on its way, and the lines that it says.
pub fn begin(home: &Home, file: &Path, driver: &str) -> (Child, impl Iterator<Item = String> + use<>) {
    let mut child = Command::new(assert_cmd::cargo::cargo_bin("lab"))
        .args(["-v", "up", file.to_str().unwrap(), "--driver", driver, "--offline"])
        .current_dir(home.path())
        .env("LAB_STATE_DIR", home.state())
        .env("LAB_RUN_DIR", home.path().join("run"))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    (child, lines)
}

/// One test with container nodes at a time: another's nodes would be taken for what is left of one's own.
pub fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes a lab also when the test fails: its nodes would be in the way of all others.
pub struct Gone<'a>(pub &'a Home, pub &'a str);

impl Drop for Gone<'_> {
    fn drop(&mut self) {
        let _ = lab(self.0, &["destroy", self.1, "-f"]).output();
    }
}

/// Global keys that programs in nodes try to set.
const KEYS: &str = "vm.overcommit_memory vm.panic_on_oom kernel.panic kernel.panic_on_oops kernel.keys.root_maxkeys \
                    kernel.keys.root_maxbytes fs.nr_open fs.file-max net.ipv4.ip_forward \
                    net.netfilter.nf_conntrack_max kernel.hostname";

/// The host as it is, and the processes that belong to this home.
pub fn state(home: &Home) -> BTreeSet<String> {
    let mine = processes(home).into_iter().map(|line| format!("process: {line}"));
    host().into_iter().chain(mine).collect()
}

/// Mounts, links, named network namespaces, cgroups, rules, modules, kernel parameters.
pub fn host() -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    let mut add = |kind: &str, text: String| all.extend(text.lines().map(|l| format!("{kind}: {l}")));
    add("mount", shell("cut -d' ' -f1-3 /proc/mounts"));
    add("link", shell("ip -br link | cut -d' ' -f1"));
    add("named netns", shell("ls /run/netns 2>/dev/null"));
    add("cgroup", shell("find /sys/fs/cgroup -maxdepth 7 -name 'lab-*'"));
    add("rule", shell("iptables-save 2>/dev/null | grep -v '^#' | sed 's/\\[.*\\]//'"));
    add("module", shell("cut -d' ' -f1 /proc/modules"));
    add("sysctl", shell(&format!("/sbin/sysctl {KEYS} 2>/dev/null")));
    all
}

fn shell(script: &str) -> String {
    String::from_utf8(Command::new("sh").args(["-c", script]).output().unwrap().stdout).unwrap()
}

/// Processes that name this home in their arguments, and those whose root or cgroup is a node's; a zombie is none.
pub fn processes(home: &Home) -> BTreeSet<String> {
    let folder = home.path().to_str().unwrap();
    let mine = |dir: &Path| {
        let line = String::from_utf8_lossy(&std::fs::read(dir.join("cmdline")).ok()?).replace('\0', " ");
        let cgroups = std::fs::read_to_string(dir.join("cgroup")).ok()?;
        let found = line.contains(folder) || !line.is_empty() && cgroups.contains("/lab-");
        found.then(|| format!("{} {line}", dir.file_name().unwrap().to_str().unwrap()))
    };
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter(|e| e.file_name().to_str().is_some_and(|n| n.parse::<u32>().is_ok()));
    pids.filter_map(|e| mine(&e.path())).collect()
}
