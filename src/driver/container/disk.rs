//! A node's files: the image's tree below, the node's differences above. /var is a real folder, since container runtimes
//! in the node put overlays on it, and the kernel refuses an overlay's upper layer on another overlay. What is large in
//! it, container images, is not copied: blobs lie under an overlay of their own, unpacked layers are mounted read-only
//! (a runtime only ever uses them as lower layers).

use super::process;
use super::rootless::{self, Standing};
use crate::driver::NodeSpec;
use crate::error::{Context, Error, Result};
use crate::state::process::ProcessId;
use serde_json::{Value as Json, json};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Below /var: blobs by digest, never changed.
const CONTENT: &str = "lib/containerd/io.containerd.content.v1.content";
/// Below /var: unpacked layers, a folder with `fs` each.
const SNAPSHOTS: &str = "lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots";

/// The folders of a node's files.
pub struct Disk {
    /// The image's tree.
    tree: PathBuf,
    /// The node's state folder.
    dir: PathBuf,
}

impl Disk {
    /// Of this node.
    pub fn of(spec: &NodeSpec) -> Self {
        Self { tree: spec.image.dir.join("tree"), dir: spec.place.dir.clone() }
    }

    /// Whether the node in this folder was made.
    pub fn exists(dir: &Path) -> bool {
        dir.join("var").exists()
    }

    /// Where the node's root file system is mounted, in a mount namespace of the node's own.
    pub fn root(&self) -> PathBuf {
        self.dir.join("root")
    }

    /// The options of the root's overlay.
    pub fn root_options(&self) -> String {
        self.overlay(&self.tree, "root")
    }

    fn overlay(&self, lower: &Path, name: &str) -> String {
        let part = |path: &Path| path.display().to_string();
        let (upper, work) = (self.dir.join(format!("{name}-upper")), self.dir.join(format!("{name}-work")));
        // Only root may write the attributes that an overlay otherwise keeps its notes in.
        let attributes = if rootless::standing() == Standing::Root { "" } else { ",userxattr" };
        format!("lowerdir={},upperdir={},workdir={}{attributes}", part(lower), part(&upper), part(&work))
    }

    /// Makes what is missing. Safe to call again after it was cut.
    pub fn create(&self) -> Result<()> {
        let what = || "make the node's files";
        if !self.tree.join("var").is_dir() {
            let why = format!("{} is not there", self.tree.display());
            return Err(Error::failed(what(), why).hint("lab image build"));
        }
        for path in [&self.tree, &self.dir] {
            // mount(8) would take these for the end of a value.
            if path.as_os_str().as_encoded_bytes().iter().any(|b| b",:\\".contains(b)) {
                let why = format!("the path {} has a comma, a colon or a backslash", path.display());
                return Err(Error::input(what(), why).hint("set LAB_STATE_DIR and LAB_CACHE_DIR to plain paths"));
            }
        }
        for name in ["root", "root-upper", "root-work", "content-upper", "content-work"] {
            fs::create_dir_all(self.dir.join(name)).context(what)?;
        }
        // The root of an overlay has the mode of its upper layer.
        copy_mode(&self.tree, &self.dir.join("root-upper")).context(what)?;
        if self.tree.join("var").join(CONTENT).is_dir() {
            copy_mode(&self.tree.join("var").join(CONTENT), &self.dir.join("content-upper")).context(what)?;
        }
        // /var comes last: its presence says that the node is made.
        let (fresh, var) = (fresh(&self.dir), self.dir.join("var"));
        if var.exists() {
            return Ok(());
        }
        remove_dir(&fresh)?;
        fs::create_dir(&fresh).context(what)?;
        copy_var(&self.tree.join("var"), &fresh)?;
        fs::rename(&fresh, &var).context(what)
    }

    /// The mounts of /var in the runtime's form.
    pub fn mounts(&self) -> Vec<Json> {
        let bind = |to: PathBuf, from: PathBuf, mode: &str| json!({"destination": to, "type": "bind", "source": from, "options": ["rbind", mode]});
        let var = self.tree.join("var");
        let mut all = vec![bind("/var".into(), self.dir.join("var"), "rw")];
        if var.join(CONTENT).is_dir() {
            let options = self.overlay(&var.join(CONTENT), "content");
            let options: Vec<&str> = options.split(',').collect();
            let to = Path::new("/var").join(CONTENT);
            all.push(json!({"destination": to, "type": "overlay", "source": "overlay", "options": options}));
        }
        for entry in fs::read_dir(var.join(SNAPSHOTS)).into_iter().flatten().flatten() {
            let below = Path::new(SNAPSHOTS).join(entry.file_name()).join("fs");
            // A node that has removed an image needs its layers no more.
            if var.join(&below).is_dir() && self.dir.join("var").join(&below).is_dir() {
                all.push(bind(Path::new("/var").join(&below), var.join(&below), "ro"));
            }
        }
        all
    }
}

/// Where /var is made.
fn fresh(dir: &Path) -> PathBuf {
    dir.join("var.new")
}

/// Processes that still make a node's /var: those of a `lab` that was killed meanwhile.
pub fn find_copying(dir: &Path) -> Vec<ProcessId> {
    process::find_exact("tar", fresh(dir).as_os_str())
}

/// Removes a file or a socket that may be gone already.
pub fn remove_file(path: &Path) -> Result<()> {
    missing_is_fine(fs::remove_file(path)).context(|| format!("remove {}", path.display()))
}

/// Removes a folder that may be gone already.
pub fn remove_dir(path: &Path) -> Result<()> {
    missing_is_fine(fs::remove_dir_all(path)).context(|| format!("remove {}", path.display()))
}

fn missing_is_fine(done: std::io::Result<()>) -> std::io::Result<()> {
    done.or_else(|e| if e.kind() == ErrorKind::NotFound { Ok(()) } else { Err(e) })
}

fn copy_mode(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::set_permissions(to, fs::metadata(from)?.permissions())
}

/// Copies /var but for what is mounted. tar keeps owners, modes, links and attributes.
fn copy_var(from: &Path, to: &Path) -> Result<()> {
    let what = || "copy the image's /var";
    let mut reader = Command::new("tar")
        .args(["--numeric-owner", "--xattrs", "--anchored", "--no-wildcards-match-slash", "-C"])
        .arg(from)
        .arg(format!("--exclude=./{CONTENT}/*"))
        .arg(format!("--exclude=./{SNAPSHOTS}/*/fs/*"))
        .args(["-cf", "-", "."])
        .stdout(Stdio::piped())
        .spawn()
        .context(what)?;
    let pipe = reader.stdout.take().map_or_else(Stdio::null, Stdio::from);
    let writer = Command::new("tar")
        .args(["--numeric-owner", "--xattrs", "--xattrs-include=*", "-C"])
        .arg(to)
        .args(["-xpf", "-"])
        .stdin(pipe)
        .output()
        .context(what);
    let read = reader.wait().context(what)?;
    let written = writer?;
    if read.success() && written.status.success() {
        return Ok(());
    }
    Err(Error::failed(what(), format!("tar: {read}, {}", String::from_utf8_lossy(&written.stderr).trim())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn var_is_copied_but_for_container_images() {
        let dir = tempfile::tempdir().unwrap();
        let tree = dir.path().join("image/tree");
        let blobs = tree.join("var").join(CONTENT).join("blobs/sha256");
        let layer = tree.join("var").join(SNAPSHOTS).join("7/fs/bin");
        for made in [&blobs, &layer, &tree.join("var/log")] {
            fs::create_dir_all(made).unwrap();
        }
        fs::write(tree.join("var/log/x"), "x").unwrap();
        fs::write(blobs.join("b"), "b").unwrap();
        let disk = Disk { tree, dir: dir.path().join("node") };
        disk.create().unwrap();
        disk.create().unwrap();
        let var = disk.dir.join("var");
        assert_eq!(fs::read(var.join("log/x")).unwrap(), b"x");
        assert!(var.join(CONTENT).is_dir() && !var.join(CONTENT).join("blobs").exists());
        assert!(var.join(SNAPSHOTS).join("7/fs").is_dir() && !var.join(SNAPSHOTS).join("7/fs/bin").exists());
        let mounts = disk.mounts();
        assert_eq!(mounts.len(), 3);
        assert_eq!(mounts[1]["type"], "overlay");
        assert_eq!(mounts[2]["options"], json!(["rbind", "ro"]));
    }

    #[test]
    fn no_tree_and_odd_paths_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let disk = Disk { tree: dir.path().join("none"), dir: dir.path().join("n") };
        assert!(disk.create().unwrap_err().hint.unwrap().contains("lab image build"));
        let tree = dir.path().join("a:b");
        fs::create_dir_all(tree.join("var")).unwrap();
        let disk = Disk { tree, dir: dir.path().join("n") };
        assert!(disk.create().unwrap_err().why.contains("a colon"));
    }
}
