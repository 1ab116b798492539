//! Whether nodes can lie in a folder of the host: what its file system can do, and how much room it has.

use crate::error::Error;
use rustix::fs::StatVfsMountFlags;
use std::path::Path;

/// File systems that cannot be the upper layer of an overlay or do not keep owners and attributes, by the magic numbers
/// of statfs(2), and what people call them.
const UNFIT: [(u64, &str); 9] = [
    (0x794c_7630, "an overlay file system (a container's own root)"),
    (0x6969, "NFS"),
    (0xff53_4d42, "a Windows share (CIFS)"),
    (0xfe53_4d42, "a Windows share (SMB)"),
    (0x0102_1997, "a folder of another system (9p; under WSL2 one of Windows)"),
    (0x6573_5546, "a FUSE file system"),
    (0x4d44, "FAT"),
    (0x2011_bab0, "exFAT"),
    (0x7366_746e, "NTFS"),
];

/// What a node of the usual labs writes.
const ROOM_PER_NODE: u64 = 1 << 30;

const WHAT: &str = "use the container driver";
const REMEDY: &str = "set LAB_STATE_DIR to a folder on a disk: ext4, xfs, btrfs or tmpfs";

/// What stands against making this many nodes below a folder, which may not exist yet.
pub fn problem(dir: &Path, nodes: usize) -> Option<Error> {
    let there = dir.ancestors().find(|d| d.is_dir())?;
    let kind = rustix::fs::statfs(there).ok()?.f_type as u64;
    let volume = rustix::fs::statvfs(there).ok()?;
    let read_only = volume.f_flag.contains(StatVfsMountFlags::RDONLY);
    let free = volume.f_bavail.saturating_mul(volume.f_frsize);
    // The kernel's type for the number has a sign on some hosts.
    unfit(kind & 0xffff_ffff, there)
        .or_else(|| read_only.then(|| refused(format!("{} is mounted read-only", there.display()))))
        .or_else(|| full(free, nodes, there))
}

fn refused(why: String) -> Error {
    Error::host(WHAT, why).hint(REMEDY)
}

fn unfit(kind: u64, dir: &Path) -> Option<Error> {
    let (_, name) = UNFIT.into_iter().find(|(magic, _)| *magic == kind)?;
    Some(refused(format!("{} lies on {name}, which cannot hold nodes", dir.display())))
}

fn full(free: u64, nodes: usize, dir: &Path) -> Option<Error> {
    let wanted = ROOM_PER_NODE.saturating_mul(nodes as u64);
    (free < wanted).then(|| {
        let why = format!(
            "{nodes} nodes may write {} MiB below {}, {} MiB are free",
            wanted >> 20,
            dir.display(),
            free >> 20
        );
        let look = format!("look for what is large: du -xh {} | sort -h | tail", dir.display());
        Error::host("make the nodes' files", why)
            .hint(format!("{look}; or set LAB_STATE_DIR to a folder on a larger disk"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_systems_that_cannot_hold_nodes_are_named() {
        let dir = Path::new("/mnt/c");
        let error = unfit(0x0102_1997, dir).unwrap();
        assert!(error.why.contains("/mnt/c lies on a folder of another system (9p"), "{error}");
        assert!(error.hint.unwrap().contains("LAB_STATE_DIR"));
        let (ext4, tmpfs) = (0xef53, 0x0102_1994);
        assert!(unfit(ext4, dir).is_none() && unfit(tmpfs, dir).is_none());
    }

    #[test]
    fn room_is_looked_for_where_the_nodes_will_be() {
        let dir = tempfile::tempdir().unwrap();
        assert!(problem(&dir.path().join("not/yet"), 0).is_none());
        let error = problem(&dir.path().join("not/yet"), 1 << 30).unwrap();
        assert!(error.why.contains("are free") && error.hint.unwrap().contains("du -xh"));
        assert!(full(3 << 30, 3, dir.path()).is_none());
        assert!(problem(Path::new("/sys/kernel"), 0).is_none_or(|e| e.why.contains("read-only")));
    }
}
