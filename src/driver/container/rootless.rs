//! Nodes of an ordinary user. He is root in a user namespace over his subordinate ids, and his systemd delegates a part
//! of the cgroup tree to him: there a node is made as root makes it on the whole host. A `lab` that makes nodes goes in;
//! one that only looks, stops or removes needs no more than to be their owner.

use super::{cgroup, lan, nat, process};
use crate::driver::Place;
use crate::error::{Context, Error, Result};
use crate::state::process::ProcessId;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where a process stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Root of the host.
    Root,
    /// An ordinary user, outside.
    Outside,
    /// Root of a user namespace.
    Inside,
}

/// Where this process stands.
pub fn standing() -> Standing {
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    match (rustix::process::geteuid().is_root(), is_whole(&map)) {
        (true, true) => Standing::Root,
        (true, false) => Standing::Inside,
        (false, _) => Standing::Outside,
    }
}

/// Whether a map of ids is that of the host: every id is itself.
fn is_whole(map: &str) -> bool {
    let mut words = map.split_whitespace();
    // A kernel without user namespaces has no map.
    map.is_empty() || [words.next(), words.next(), words.next()] == [Some("0"), Some("0"), Some("4294967295")]
}

/// The user's id as the host has it.
pub fn user() -> u32 {
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    outer(&map, rustix::process::geteuid().as_raw())
}

/// The id outside of an id inside.
fn outer(map: &str, id: u32) -> u32 {
    let rows = map.lines().filter_map(|line| {
        let mut numbers = line.split_whitespace().map(|word| word.parse::<u32>().ok());
        Some((numbers.next()??, numbers.next()??, numbers.next()??))
    });
    let mut rows = rows.filter(|(inside, _, count)| (*inside..inside.saturating_add(*count)).contains(&id));
    rows.next().map_or(id, |(inside, outside, _)| outside + (id - inside))
}

/// The command before `lab ...` that goes in: to the namespace of a lab's living processes, else to a new one.
pub fn way_in(places: &[Place]) -> Vec<OsString> {
    // Only what is born below the user's own systemd may move processes there (cgroups(7), delegation).
    let scope = ["systemd-run", "--user", "--scope", "--quiet", "--collect", "--property=Delegate=yes", "--"];
    let new = ["unshare", "--user", "--map-root-user", "--map-auto", "--"];
    let mut all: Vec<OsString> = scope.map(OsString::from).into();
    match living(places) {
        Some(process) => {
            all.extend(["nsenter", "--user", "--preserve-credentials"].map(OsString::from));
            all.extend([format!("--target={}", process.pid).into(), "--".into()]);
        }
        None => all.extend(new.map(OsString::from)),
    }
    all
}

/// A process of these nodes that is in a user namespace of ours.
fn living(places: &[Place]) -> Option<ProcessId> {
    let ours = std::fs::read_link("/proc/self/ns/user").ok()?;
    let of = |place: &Place| super::first_process(place).into_iter().chain(nat::find(place));
    let mut all = places.iter().flat_map(of).chain(places.first().and_then(lan::keeper));
    all.find(|p| std::fs::read_link(format!("/proc/{}/ns/user", p.pid)).is_ok_and(|theirs| theirs != ours))
}

/// Goes in with this command, which does not come back.
///
/// # Errors
/// The command could not be started.
pub fn enter(places: &[Place], command: &Command) -> Error {
    use std::os::unix::process::CommandExt;
    Error::failed("go into a user namespace", inside(places, command).exec())
}

/// This command, inside.
pub fn inside(places: &[Place], command: &Command) -> Command {
    let way = way_in(places);
    let mut whole = Command::new(&way[0]);
    whole.args(&way[1..]).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => whole.env(name, value),
            None => whole.env_remove(name),
        };
    }
    whole
}

/// The leaf below a delegated cgroup where `lab` itself lives: one that has children with limits has no processes of its
/// own (cgroups(7), no internal processes).
const LEAF: &str = "lab";

/// The part of the cgroup tree that was delegated to this process, from the mount point; after [`settle`] the same.
pub fn delegated() -> String {
    let text = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let own = text.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or("/");
    own.strip_suffix(&format!("/{LEAF}")).unwrap_or(own).trim_end_matches('/').to_owned()
}

/// Makes room for nodes beside this process in its own cgroup.
pub fn settle(root: &Path) -> Result<()> {
    let what = || "move into a cgroup of its own";
    let leaf = root.join(delegated().trim_start_matches('/')).join(LEAF);
    std::fs::create_dir_all(&leaf).context(what)?;
    std::fs::write(leaf.join("cgroup.procs"), std::process::id().to_string()).context(what)?;
    let limits: Vec<String> = cgroup::CONTROLLERS.iter().map(|c| format!("+{c}")).collect();
    let above = leaf.parent().unwrap_or(root);
    std::fs::write(above.join("cgroup.subtree_control"), limits.join(" ")).context(|| "limit nodes by cgroups")
}

/// Where the cgroups of this user's nodes can be: below his own systemd.
pub fn territory(root: &Path, user: u32) -> PathBuf {
    root.join(format!("user.slice/user-{user}.slice/user@{user}.service"))
}

/// Removes a folder with files of the user's subordinate ids, as the root of a namespace of its own.
pub async fn remove_dir(dir: &Path) -> Result<()> {
    let mut command = tokio::process::Command::new("unshare");
    command.args(["--user", "--map-root-user", "--map-auto", "--", "rm", "-rf", "--"]).arg(dir);
    process::run(&mut command, "").await.map_err(|e| Error::failed(format!("remove {}", dir.display()), e.why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_told_apart_by_their_map() {
        let mine = "         0       1000          1\n         1     100000      65535\n";
        assert!(is_whole("         0          0 4294967295\n") && is_whole("") && !is_whole(mine));
        assert_eq!((outer(mine, 0), outer(mine, 1), outer(mine, 65_535)), (1000, 100_000, 165_534));
        assert_eq!(outer("         0          0 4294967295\n", 7), 7);
        assert_eq!(outer("", 7), 7);
    }

    #[test]
    fn a_lab_without_processes_goes_into_a_new_namespace() {
        let dir = tempfile::tempdir().unwrap();
        let place = Place { lab: "l".into(), node: "n".into(), dir: dir.path().into(), run: dir.path().into() };
        let way: Vec<_> = way_in(&[place]).into_iter().map(|word| word.into_string().unwrap()).collect();
        assert_eq!(way[..3], ["systemd-run", "--user", "--scope"]);
        assert!(way.ends_with(&["--map-root-user".into(), "--map-auto".into(), "--".into()]));
        assert!(territory(Path::new("/c"), 7).ends_with("user-7.slice/user@7.service"));
    }
}
