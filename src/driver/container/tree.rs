//! A node's files: the image's tree below, its own differences above, without a copy of either.

use crate::driver::NodeSpec;
use crate::error::{Context, Error, Result};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// In the image: folders that must lie on a real file system, since what runs in the node mounts overlays of them. A line
/// is a path and the names of files in it that change in place.
const VOLUMES: &str = "etc/lab/volumes";

/// Keys that programs in a node set though they are the host's: they write to files of the node instead. With what a
/// reader expects to find.
pub const SYSCTLS: [(&str, &str); 6] = [
    ("vm/overcommit_memory", "1"),
    ("vm/panic_on_oom", "0"),
    ("kernel/panic", "10"),
    ("kernel/panic_on_oops", "1"),
    ("kernel/keys/root_maxkeys", "1000000"),
    ("kernel/keys/root_maxbytes", "25000000"),
];

/// Where the files of [`SYSCTLS`] are in a node.
pub const SYSCTL_DIR: &str = "/etc/lab/sysctl";

/// The folders of a node's root file system.
pub struct Layers {
    pub lower: PathBuf,
    pub upper: PathBuf,
    pub work: PathBuf,
    pub merged: PathBuf,
}

impl Layers {
    /// Of this node.
    pub fn of(spec: &NodeSpec) -> Self {
        let dir = &spec.place.dir;
        let at = |name: &str| dir.join(name);
        Self { lower: spec.image.dir.join("tree"), upper: at("upper"), work: at("work"), merged: at("root") }
    }
}

/// A node's volumes: the path inside and the folder outside.
pub fn volumes(spec: &NodeSpec) -> Vec<(String, PathBuf)> {
    let declared = declared(&spec.image.dir.join("tree"));
    declared.into_iter().map(|(path, _)| (path.clone(), volume(spec, &path))).collect()
}

fn volume(spec: &NodeSpec, path: &str) -> PathBuf {
    spec.place.dir.join("volumes").join(path.trim_start_matches('/').replace('/', "-"))
}

fn declared(tree: &Path) -> Vec<(String, Vec<String>)> {
    let text = std::fs::read_to_string(tree.join(VOLUMES)).unwrap_or_default();
    let line = |line: &str| {
        let mut words = line.split_whitespace().map(str::to_owned);
        let path = words.next().filter(|p| p.starts_with('/') && !p.contains(".."))?;
        Some((path, words.collect()))
    };
    text.lines().filter_map(line).collect()
}

/// Makes the node's own layer: seed files and volumes. Safe to call again after it was cut.
pub fn create(spec: &NodeSpec) -> Result<()> {
    let layers = Layers::of(spec);
    let what = || "make the node's files";
    for dir in [&layers.work, &layers.merged] {
        std::fs::create_dir_all(dir).context(what)?;
    }
    let tree = &layers.lower;
    if !tree.is_dir() {
        return Err(Error::failed(what(), format!("{} is not there", tree.display())).hint("lab image build"));
    }
    for (path, mutable) in declared(tree) {
        let to = volume(spec, &path);
        if !to.exists() {
            let fresh = to.with_extension("new");
            let _ = std::fs::remove_dir_all(&fresh);
            link(&tree.join(path.trim_start_matches('/')), &fresh, &mutable).context(what)?;
            std::fs::rename(&fresh, &to).context(what)?;
        }
    }
    // The upper layer comes last: its presence says that the node is made.
    let fresh = layers.upper.with_extension("new");
    let _ = std::fs::remove_dir_all(&fresh);
    std::fs::create_dir_all(&fresh).context(what)?;
    std::fs::set_permissions(&fresh, std::fs::Permissions::from_mode(0o755)).context(what)?;
    for (path, mode, content) in spec.seed.files(&spec.node) {
        place(&fresh, &path, mode, content.as_bytes()).context(what)?;
    }
    place(&fresh, "/etc/machine-id", 0o444, format!("{}\n", super::spec::machine_id(spec)).as_bytes()).context(what)?;
    // The image's speaks of a disk, which a container node has not.
    place(&fresh, "/etc/fstab", 0o644, b"").context(what)?;
    for (key, value) in SYSCTLS {
        let path = format!("{SYSCTL_DIR}/{}", key.replace('/', "."));
        place(&fresh, &path, 0o644, format!("{value}\n").as_bytes()).context(what)?;
    }
    std::fs::rename(&fresh, &layers.upper).context(what)
}

/// Puts a file into a layer; a folder that is private in the image stays so.
fn place(layer: &Path, path: &str, mode: u32, content: &[u8]) -> std::io::Result<()> {
    let to = layer.join(path.trim_start_matches('/'));
    let mut above: Vec<&Path> = to.ancestors().skip(1).take_while(|p| *p != layer).collect();
    above.reverse();
    for dir in above {
        if !dir.exists() {
            std::fs::create_dir(dir)?;
            let private = dir.strip_prefix(layer).is_ok_and(|p| p.starts_with("root"));
            std::fs::set_permissions(dir, std::fs::Permissions::from_mode(if private { 0o700 } else { 0o755 }))?;
        }
    }
    std::fs::write(&to, content)?;
    std::fs::set_permissions(&to, std::fs::Permissions::from_mode(mode))
}

/// A folder again by hard links: only files that change in place are copied, those on another file system too.
fn link(from: &Path, to: &Path, mutable: &[String]) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    let meta = std::fs::symlink_metadata(from)?;
    std::fs::set_permissions(to, meta.permissions())?;
    std::os::unix::fs::chown(to, Some(meta.uid()), Some(meta.gid()))?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            link(&source, &target, mutable)?;
        } else if mutable.iter().any(|name| entry.file_name() == name.as_str()) {
            std::fs::copy(&source, &target)?;
        } else if let Err(e) = std::fs::hard_link(&source, &target) {
            if e.kind() != std::io::ErrorKind::CrossesDevices {
                return Err(e);
            }
            copy(&source, &target)?;
        }
    }
    Ok(())
}

fn copy(source: &Path, target: &Path) -> std::io::Result<()> {
    let meta = std::fs::symlink_metadata(source)?;
    if meta.file_type().is_symlink() {
        std::os::unix::fs::symlink(std::fs::read_link(source)?, target)?;
        return std::os::unix::fs::lchown(target, Some(meta.uid()), Some(meta.gid()));
    }
    std::fs::copy(source, target)?;
    std::os::unix::fs::chown(target, Some(meta.uid()), Some(meta.gid()))?;
    // A change of owner clears set-id bits.
    std::fs::set_permissions(target, meta.permissions())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_linked_folder_shares_what_never_changes_and_copies_what_does() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("a"), dir.path().join("b"));
        std::fs::create_dir_all(from.join("d")).unwrap();
        std::fs::write(from.join("d/blob"), "blob").unwrap();
        std::fs::write(from.join("d/meta.db"), "one").unwrap();
        link(&from, &to, &["meta.db".into()]).unwrap();
        std::fs::write(to.join("d/meta.db"), "two").unwrap();
        assert_eq!(std::fs::read_to_string(from.join("d/meta.db")).unwrap(), "one");
        let inode = |p: &Path| std::fs::metadata(p).unwrap().ino();
        assert_eq!(inode(&from.join("d/blob")), inode(&to.join("d/blob")));
    }

    #[test]
    fn volumes_are_absolute_paths() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("etc/lab")).unwrap();
        std::fs::write(dir.path().join(VOLUMES), "/var/lib/x meta.db\n../up\n/a/../b\n\n").unwrap();
        assert_eq!(declared(dir.path()), [("/var/lib/x".to_owned(), vec!["meta.db".to_owned()])]);
    }
}
