//! Control groups of nodes that nobody has any more: somebody deleted a lab's folder by hand, or a kill came at a moment
//! that no `destroy` followed. A group's name is a digest of its node's folder and leads nowhere back; whose it is tell
//! its processes, by the mounts that they see.

use super::{cgroup, process};
use crate::driver::Place;
use crate::error::Result;
use crate::state::process::ProcessId;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A node is without processes for a moment while it is made and while it ends. No event tells of either.
const MOMENT: Duration = Duration::from_millis(200);

/// The groups of one node that is gone.
#[derive(Debug, PartialEq, Eq)]
pub struct Group {
    /// The node's name in all hierarchies.
    pub id: String,
    /// What still runs in it.
    pub processes: Vec<ProcessId>,
    /// The node's folder, which does not exist; None where nothing runs that could tell.
    pub dir: Option<PathBuf>,
    levels: Vec<PathBuf>,
}

/// What is left of nodes other than these, below the host's mount point.
pub async fn find(living: &[Place]) -> Vec<Group> {
    find_in(Path::new(cgroup::ROOT), living).await
}

async fn find_in(root: &Path, living: &[Place]) -> Vec<Group> {
    let first = look(root, living);
    if first.is_empty() {
        return first;
    }
    tokio::time::sleep(MOMENT).await;
    look(root, living).into_iter().filter(|group| first.contains(group)).collect()
}

fn look(root: &Path, living: &[Place]) -> Vec<Group> {
    let known: BTreeSet<String> = living.iter().map(process::id).collect();
    let mut groups: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for level in cgroup::levels_of_nodes(root) {
        if let Some(id) = level.file_name().and_then(|name| name.to_str())
            && !known.contains(id)
        {
            groups.entry(id.to_owned()).or_default().push(level);
        }
    }
    groups.into_iter().filter_map(|(id, levels)| of_nobody(id, levels)).collect()
}

/// The group, unless it is or may be a living node's of somebody else.
fn of_nobody(id: String, levels: Vec<PathBuf>) -> Option<Group> {
    let pids: BTreeSet<u32> = levels.iter().flat_map(|level| cgroup::members(level)).collect();
    let processes: Vec<ProcessId> = pids.into_iter().filter_map(ProcessId::of).collect();
    if processes.is_empty() {
        return Some(Group { id, processes, dir: None, levels });
    }
    let dir = processes.iter().find_map(|process| {
        let mounts = std::fs::read_to_string(format!("/proc/{}/mountinfo", process.pid)).ok()?;
        // Who does not see the image either sees another disk than we do: he cannot be judged from here.
        let seen = |(dir, image): &(PathBuf, PathBuf)| process::id_of(dir) == id && image.exists();
        node_dirs(&mounts).into_iter().find(seen)
    })?;
    let dir = dir.0;
    (!dir.exists()).then_some(Group { id, processes, dir: Some(dir), levels })
}

/// Folders that the upper layers of overlays are in, and what is below each.
fn node_dirs(mounts: &str) -> Vec<(PathBuf, PathBuf)> {
    let of = |line: &str| {
        let option = |name: &str| line.split([' ', ',']).find_map(|option| option.strip_prefix(name));
        let upper = Path::new(option("upperdir=")?);
        Some((upper.parent()?.to_owned(), PathBuf::from(option("lowerdir=")?)))
    };
    mounts.lines().filter_map(of).collect()
}

impl Group {
    /// Ends what runs in it and removes it.
    pub async fn remove(&self) -> Result<()> {
        cgroup::thaw(&self.levels);
        cgroup::clear(&self.levels).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(dir: &Path) -> Place {
        Place { lab: "l".into(), node: "n".into(), dir: dir.into(), run: "/r".into() }
    }

    #[tokio::test]
    async fn empty_groups_of_nobody_are_found_and_removed_and_others_stay() {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().join(path);
        let mine = place(Path::new("/state/l/nodes/n"));
        let own = process::id(&mine);
        for path in ["pids/lab-0123456789/node/init.scope", "memory/lab-0123456789", "lab-00000000ff", "pids/labour"] {
            std::fs::create_dir_all(at(path)).unwrap();
        }
        std::fs::create_dir_all(at("pids").join(&own)).unwrap();
        let found = find_in(root.path(), &[mine]).await;
        let ids: Vec<&str> = found.iter().map(|group| group.id.as_str()).collect();
        assert_eq!(ids, ["lab-00000000ff", "lab-0123456789"]);
        assert_eq!(found[1].levels.len(), 2);
        for group in &found {
            group.remove().await.unwrap();
        }
        assert!(!at("pids/lab-0123456789").exists() && !at("memory/lab-0123456789").exists());
        assert!(at("pids").join(&own).exists() && at("pids/labour").exists());
        assert_eq!(find_in(root.path(), &[]).await.len(), 1);
    }

    #[tokio::test]
    async fn a_group_whose_processes_tell_nothing_may_be_somebodys() {
        let root = tempfile::tempdir().unwrap();
        let level = root.path().join("pids/lab-0123456789");
        std::fs::create_dir_all(&level).unwrap();
        std::fs::write(level.join("cgroup.procs"), format!("{}\n", std::process::id())).unwrap();
        assert_eq!(find_in(root.path(), &[]).await, []);
    }

    #[test]
    fn the_nodes_folder_stands_among_the_mounts() {
        let mounts = "22 1 0:20 / / rw - overlay overlay rw,lowerdir=/c/tree,upperdir=/s/l/nodes/n/root-upper,workdir=/s/l/nodes/n/root-work\n23 22 0:5 / /dev rw - tmpfs tmpfs rw\n";
        assert_eq!(node_dirs(mounts), [("/s/l/nodes/n".into(), "/c/tree".into())]);
    }
}
