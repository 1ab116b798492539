//! A node's control groups: a level of ours with the lab file's limits, below it the runtime's. The node sees only the
//! lower one as its root, so it cannot raise its own limits.

use super::process;
use super::rootless::{self, Standing};
use crate::driver::Place;
use crate::error::{Context, Error, Result};
use crate::lab::model::Node;
use crate::state::process::ProcessId;
use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where hosts mount control groups.
pub const ROOT: &str = "/sys/fs/cgroup";

/// Processes and threads of a node; a fork bomb ends here.
const PIDS: u32 = 32_768;

/// The length of a period of processor time, in microseconds.
const PERIOD: u64 = 100_000;

/// How often the processes of a node are looked for: those that are being forked are seen the next time.
const ROUNDS: usize = 20;

/// How often and after which time the removal of a cgroup is tried again.
const LAST_BREATHS: u32 = 1000;
const LAST_BREATH: Duration = Duration::from_millis(5);

/// Whether controllers are in the old layout; on a hybrid host they are.
pub fn is_v1() -> bool {
    !Path::new(ROOT).join("cgroup.controllers").exists()
}

/// What nodes are limited by; the old layout has a hierarchy for each.
pub const CONTROLLERS: [&str; 3] = ["cpu", "memory", "pids"];

/// What stands against making nodes' cgroups below this mount point.
pub fn problem(root: &Path) -> Option<Error> {
    let what = "use the container driver";
    let read_only =
        |dir: &Path| rustix::fs::statvfs(dir).is_ok_and(|s| s.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY));
    let new = std::fs::read_to_string(root.join("cgroup.controllers")).ok();
    let missing: Vec<&str> = match &new {
        Some(there) => CONTROLLERS.into_iter().filter(|c| !there.split_whitespace().any(|t| t == *c)).collect(),
        None => CONTROLLERS.into_iter().filter(|c| !root.join(c).join("cgroup.procs").exists()).collect(),
    };
    if !missing.is_empty() {
        let why = format!("the cgroup controllers {} are not in {}", missing.join(", "), root.display());
        let hint = match new {
            Some(_) => {
                "boot without cgroup_disable= and with cgroup_enable=memory in the kernel's command line; or --driver qemu"
            }
            None => {
                "mount -t cgroup2 none /sys/fs/cgroup (systemd does); in a container, give it cgroups of its own; or --driver qemu"
            }
        };
        return Some(Error::host(what, why).hint(hint));
    }
    let places = if new.is_some() { vec![root.to_owned()] } else { CONTROLLERS.map(|c| root.join(c)).into() };
    let closed = places.into_iter().find(|dir| read_only(dir))?;
    let why = format!("{} is mounted read-only", closed.display());
    Some(Error::host(what, why).hint(format!("mount -o remount,rw {}; or --driver qemu", closed.display())))
}

/// The runtime's cgroup of a node, as the runtime wants it.
pub fn path(id: &str) -> String {
    format!("{}/node", trial(id))
}

/// The cgroup of a machine that is only tried.
pub fn trial(id: &str) -> String {
    let base = if rootless::standing() == Standing::Inside { rootless::delegated() } else { String::new() };
    format!("{base}/{id}")
}

/// The node's level in the new layout, or where it would be. An ordinary user's nodes are below the scope of the `lab`
/// that started them, which only looking tells.
fn unified(id: &str) -> PathBuf {
    let root = Path::new(ROOT);
    let made = root.join(trial(id).trim_start_matches('/'));
    if rootless::standing() == Standing::Root || made.is_dir() {
        return made;
    }
    find(&rootless::territory(root, rootless::user()), id).unwrap_or(made)
}

/// How far below a user's systemd the scopes with nodes are: a slice, a scope.
const DEPTH: usize = 2;

fn find(dir: &Path, id: &str) -> Option<PathBuf> {
    below(dir, DEPTH).into_iter().map(|dir| dir.join(id)).find(|level| level.is_dir())
}

/// A folder and those below it, down to this depth.
fn below(dir: &Path, depth: usize) -> Vec<PathBuf> {
    let mut all = vec![dir.to_owned()];
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let deeper = entries.filter(|e| depth > 0 && e.file_type().is_ok_and(|t| t.is_dir()));
    all.extend(deeper.flat_map(|entry| below(&entry.path(), depth - 1)));
    all
}

/// Sets the limits of the node's level. The runtime has made it by now.
pub fn limit(id: &str, node: &Node) -> Result<()> {
    for (file, value, needed) in limits(is_v1(), node) {
        let (controller, name) = file;
        let level = if is_v1() { Path::new(ROOT).join(controller).join(id) } else { unified(id) };
        let to = level.join(name);
        match std::fs::write(&to, value) {
            // Hosts without swap accounting have no file for it.
            Err(e) if !needed && e.kind() == ErrorKind::NotFound => {}
            done => done.context(|| format!("limit the node by {}", to.display()))?,
        }
    }
    Ok(())
}

/// Controller and file, value, whether a host must have it.
fn limits(v1: bool, node: &Node) -> Vec<((&'static str, &'static str), String, bool)> {
    let quota = u64::from(node.cpus) * PERIOD;
    let memory = node.memory.to_string();
    if v1 {
        return vec![
            (("memory", "memory.limit_in_bytes"), memory.clone(), true),
            (("memory", "memory.memsw.limit_in_bytes"), memory, false),
            (("cpu", "cpu.cfs_period_us"), PERIOD.to_string(), true),
            (("cpu", "cpu.cfs_quota_us"), quota.to_string(), true),
            (("pids", "pids.max"), PIDS.to_string(), true),
        ];
    }
    vec![
        (("", "memory.max"), memory, true),
        (("", "memory.swap.max"), "0".into(), false),
        (("", "cpu.max"), format!("{quota} {PERIOD}"), true),
        (("", "pids.max"), PIDS.to_string(), true),
    ]
}

/// The node's level of the hierarchy that limits memory.
pub fn memory(id: &str) -> PathBuf {
    if is_v1() { Path::new(ROOT).join("memory").join(id) } else { unified(id) }
}

/// How many processes the kernel killed in the node because its memory was full.
pub fn out_of_memory_kills(id: &str) -> u64 {
    let file = if is_v1() { "memory.oom_control" } else { "memory.events" };
    folders(&memory(id))
        .iter()
        .filter_map(|dir| std::fs::read_to_string(dir.join(file)).ok())
        .filter_map(|text| text.lines().find_map(|l| l.strip_prefix("oom_kill ")?.trim().parse::<u64>().ok()))
        // Version 2 counts what happened below as well: the largest is the node's.
        .fold(0, |sum, n| if is_v1() { sum + n } else { sum.max(n) })
}

/// Lets a node's processes go on that somebody froze: in the old layout they would not even die.
pub fn thaw(levels: &[PathBuf]) {
    for folder in levels.iter().flat_map(|level| folders(level)) {
        for (file, word) in [("freezer.state", "THAWED"), ("cgroup.freeze", "0")] {
            // Only a hierarchy that can freeze has one of these.
            if folder.join(file).exists() {
                let _ = std::fs::write(folder.join(file), word);
            }
        }
    }
}

/// Kills all processes of the node and removes its cgroups in every hierarchy.
pub async fn remove(place: &Place) -> Result<()> {
    clear(&levels(place)).await
}

/// The same for cgroups of a node wherever they are.
pub async fn clear(levels: &[PathBuf]) -> Result<()> {
    for level in levels {
        // The new layout ends all at once, also those whose users are not ours. The old one has no such file.
        if level.join("cgroup.kill").exists() {
            let _ = std::fs::write(level.join("cgroup.kill"), "1");
        }
    }
    for _ in 0..ROUNDS {
        let processes: BTreeSet<u32> = levels.iter().flat_map(|level| members(level)).collect();
        let processes: Vec<ProcessId> = processes.into_iter().filter_map(ProcessId::of).collect();
        if processes.is_empty() {
            break;
        }
        process::kill(&processes).await?;
    }
    for folder in levels.iter().flat_map(|level| folders(level)) {
        remove_folder(&folder).await?;
    }
    Ok(())
}

/// Removes a cgroup without processes. The kernel still counts those that are on their way out, and the old layout has
/// no event for their end: the removal itself is tried until it succeeds.
async fn remove_folder(folder: &Path) -> Result<()> {
    let mut tries = 0..LAST_BREATHS;
    loop {
        match std::fs::remove_dir(folder) {
            Ok(()) => return Ok(()),
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
            Err(e) if e.kind() == ErrorKind::ResourceBusy && tries.next().is_some() => {
                tokio::time::sleep(LAST_BREATH).await;
            }
            Err(e) => return Err(e).context(|| format!("remove {}", folder.display())),
        }
    }
}

/// The node's level in each hierarchy that has one.
pub fn levels(place: &Place) -> Vec<PathBuf> {
    let id = process::id(place);
    let mut all = hierarchies(Path::new(ROOT));
    all.extend(unified(&id).parent().map(Path::to_owned).filter(|dir| !all.contains(dir)));
    all.into_iter().map(|dir| dir.join(&id)).filter(|level| level.is_dir()).collect()
}

/// The levels of all nodes that this user can have on the host, whoever has them.
pub fn levels_of_nodes(root: &Path) -> Vec<PathBuf> {
    let mut all = hierarchies(root);
    if rootless::standing() != Standing::Root {
        all.extend(below(&rootless::territory(root, rootless::user()), DEPTH));
    }
    let entries = all.into_iter().flat_map(|dir| std::fs::read_dir(dir).into_iter().flatten().flatten());
    let of_node = |e: &std::fs::DirEntry| e.file_name().to_str().is_some_and(process::is_id) && e.path().is_dir();
    entries.filter(of_node).map(|e| e.path()).collect()
}

/// The mount point, and the hierarchies below it that the old layout has.
fn hierarchies(root: &Path) -> Vec<PathBuf> {
    let below = std::fs::read_dir(root).into_iter().flatten().flatten();
    // Symbolic links ("cpu" to "cpu,cpuacct") are the same hierarchy again.
    let below = below.filter(|e| e.file_type().is_ok_and(|t| t.is_dir())).map(|e| e.path());
    std::iter::once(root.to_owned()).chain(below).collect()
}

/// A cgroup and all below it, the deepest first.
fn folders(level: &Path) -> Vec<PathBuf> {
    let below = std::fs::read_dir(level).into_iter().flatten().flatten();
    let below = below.filter(|e| e.file_type().is_ok_and(|t| t.is_dir()));
    let mut all: Vec<PathBuf> = below.flat_map(|e| folders(&e.path())).collect();
    all.push(level.to_owned());
    all
}

/// The numbers of the processes in a cgroup and below.
pub fn members(level: &Path) -> Vec<u32> {
    let lists = folders(level).into_iter().filter_map(|dir| std::fs::read_to_string(dir.join("cgroup.procs")).ok());
    lists.flat_map(|list| list.lines().filter_map(|l| l.trim().parse().ok()).collect::<Vec<_>>()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_those_of_the_lab_file() {
        let node = Node { name: "n".into(), cpus: 2, memory: 1 << 30, disk: 0, links: vec![] };
        let v1 = limits(true, &node);
        assert!(v1.contains(&(("memory", "memory.limit_in_bytes"), "1073741824".into(), true)));
        assert!(v1.contains(&(("cpu", "cpu.cfs_quota_us"), "200000".into(), true)));
        assert!(limits(false, &node).contains(&(("", "cpu.max"), "200000 100000".into(), true)));
    }

    #[test]
    fn a_layout_without_the_controllers_is_refused_with_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let error = problem(dir.path()).unwrap();
        assert!(error.why.contains("cpu, memory, pids") && error.hint.unwrap().contains("mount -t cgroup2"));
        std::fs::write(dir.path().join("cgroup.controllers"), "cpuset cpu io pids\n").unwrap();
        let error = problem(dir.path()).unwrap();
        assert!(error.why.contains("controllers memory are not"), "{error}");
        assert!(error.hint.unwrap().contains("cgroup_enable=memory"));
        std::fs::write(dir.path().join("cgroup.controllers"), "cpuset cpu io memory pids\n").unwrap();
        assert!(problem(dir.path()).is_none());
        let old = tempfile::tempdir().unwrap();
        for name in CONTROLLERS {
            std::fs::create_dir(old.path().join(name)).unwrap();
            std::fs::write(old.path().join(name).join("cgroup.procs"), "").unwrap();
        }
        assert!(problem(old.path()).is_none());
    }

    #[test]
    fn the_level_of_an_ordinary_users_node_is_found_below_his_systemd() {
        let dir = tempfile::tempdir().unwrap();
        let level = dir.path().join("app.slice/run-r1.scope/lab-1");
        std::fs::create_dir_all(level.join("node")).unwrap();
        assert_eq!(find(dir.path(), "lab-1"), Some(level));
        assert_eq!(find(dir.path(), "lab-2"), None);
    }

    #[test]
    fn folders_come_deepest_first() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("a/b")).unwrap();
        std::fs::write(dir.path().join("a/cgroup.procs"), "7\n8\n").unwrap();
        let found = folders(dir.path());
        assert_eq!(found, [dir.path().join("a/b"), dir.path().join("a"), dir.path().to_owned()]);
        assert_eq!(members(dir.path()), [7, 8]);
        assert_eq!(folders(&dir.path().join("none")).len(), 1);
    }
}
