//! Finished images in the cache: sealed, read-only, known by the digest of their inputs, never used when damaged.

use super::proof;
use crate::bundle::{PartFile, command, lock, sha256};
use crate::error::{Context, Error, Result};
use crate::event::Reporter;
use crate::state::write;
use serde::{Deserialize, Serialize};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The record of a finished image; written last.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    pub name: String,
    pub key: String,
    /// The key of the bundle whose parts are inside.
    pub bundle: Option<String>,
    /// Every Debian package with its version: the key pins the recipe, this tells what came of it.
    pub packages: Vec<String>,
    pub files: Vec<PartFile>,
}

/// An image in the cache.
#[derive(Debug, Clone)]
pub struct Image {
    pub dir: PathBuf,
    pub manifest: Manifest,
}

impl Manifest {
    /// A digest of the files' content: two builds of one key may differ in it, since packages move.
    pub fn content(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        for file in &self.files {
            hasher.update(format!("{} {} {}\n", file.name, file.size, file.sha256).as_bytes());
        }
        hasher.finalize().to_hex()[..32].to_owned()
    }
}

const MANIFEST: &str = "manifest.json";
const TREE: &str = "tree";
/// Devices stay out of the tree: nodes get theirs from the runtime, and not everybody may make them. Nor do the containers
/// in a node use those of their images: theirs lie over them.
const NO_DEVICES: [&str; 2] = ["--exclude=./dev/*", "--exclude=./var/lib/containerd/*/snapshots/*/fs/dev/*"];

/// Makes a built folder the image of its key.
pub(super) fn seal(built: tempfile::TempDir, images: &Path, mut manifest: Manifest) -> Result<Image> {
    let what = || format!("seal the image {}", manifest.name);
    for name in ["disk.qcow2", "initrd.img", "root.tar", "vmlinuz"] {
        let path = built.path().join(name);
        let (sha256, size) = sha256(&path)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o444)).context(what)?;
        manifest.files.push(PartFile { name: name.to_owned(), sha256, size });
    }
    let text = serde_json::to_vec_pretty(&manifest).context(what)?;
    write::atomically(&built.path().join(MANIFEST), &text, 0o444)?;
    let dir = images.join(&manifest.key);
    if dir.exists() {
        std::fs::remove_dir_all(&dir).context(what)?;
    }
    std::fs::rename(built.keep(), &dir).context(what)?;
    let image = Image { dir, manifest };
    // Its digests were taken a moment ago.
    proof::keep(&image.dir, &image.names())?;
    Ok(image)
}

/// The image of this key, if it is whole by its sizes. [`Image::prove`] proves the content.
pub fn find(images: &Path, key: &str) -> Option<Image> {
    let dir = images.join(key);
    let manifest: Manifest = serde_json::from_slice(&std::fs::read(dir.join(MANIFEST)).ok()?).ok()?;
    let whole = manifest.files.iter().all(|f| std::fs::metadata(dir.join(&f.name)).is_ok_and(|m| m.len() == f.size));
    whole.then_some(Image { dir, manifest })
}

/// All images of the cache.
pub fn list(images: &Path) -> Vec<Image> {
    let entries = std::fs::read_dir(images).into_iter().flatten().flatten();
    let mut all: Vec<Image> = entries.filter_map(|e| find(images, e.file_name().to_str()?)).collect();
    all.sort_by(|a, b| a.manifest.name.cmp(&b.manifest.name));
    all
}

impl Image {
    /// Proves that the content is what was built, in a moment where that was done before and nobody has touched a file
    /// since; else by [`Image::verify`], which takes seconds.
    ///
    /// # Errors
    /// Names the file that is not what was built.
    pub fn prove(&self) -> Result<()> {
        let names = self.names();
        if proof::holds(&self.dir, &names) {
            return Ok(());
        }
        self.verify()?;
        // A cache that cannot be written to is proved each time.
        let _ = proof::keep(&self.dir, &names);
        Ok(())
    }

    fn names(&self) -> Vec<&str> {
        self.manifest.files.iter().map(|f| f.name.as_str()).chain([MANIFEST]).collect()
    }

    /// Reads every file and compares its digest.
    ///
    /// # Errors
    /// Names the file that is not what was built.
    pub fn verify(&self) -> Result<()> {
        for file in &self.manifest.files {
            let (digest, _) = sha256(&self.dir.join(&file.name))?;
            if digest != file.sha256 {
                let why = format!("{} in the cache is damaged: its digest is not what was built", file.name);
                let hint = format!("run `lab image build {}`, which builds it again", self.manifest.name);
                return Err(Error::failed(format!("use the image {}", self.manifest.name), why).hint(hint));
            }
        }
        Ok(())
    }

    /// The unpacked tree, for drivers that share the host's kernel; made at the first call. Needs root, if only that of a
    /// user namespace.
    ///
    /// # Errors
    /// The tree cannot be unpacked, or is not what was unpacked.
    pub fn tree(&self, reporter: &Reporter) -> Result<PathBuf> {
        let _lock = lock::take(&self.dir, &self.manifest.name, reporter)?;
        let tree = self.dir.join(TREE);
        if tree.exists() {
            return self.prove_tree(&tree).map(|()| tree);
        }
        let what = || format!("unpack the image {}", self.manifest.name);
        let fresh = tempfile::Builder::new().prefix(lock::UNFINISHED).tempdir_in(&self.dir).context(what)?;
        std::fs::set_permissions(fresh.path(), std::fs::Permissions::from_mode(0o755)).context(what)?;
        let mut command = Command::new("tar");
        command.args(["--xattrs", "--xattrs-include=*", "--numeric-owner"]).args(NO_DEVICES).arg("-xpf");
        command.arg(self.dir.join("root.tar"));
        command.arg("-C").arg(fresh.path());
        let output = command::tied(&command).output().context(what)?;
        if !output.status.success() {
            return Err(Error::failed(what(), String::from_utf8_lossy(&output.stderr)));
        }
        // Before the tree has its name: one without is unpacked again.
        proof::keep_tree(&self.dir, fresh.path())?;
        std::fs::rename(fresh.keep(), &tree).context(what)?;
        Ok(tree)
    }

    /// The same for a tree as [`Image::prove`] for files.
    fn prove_tree(&self, tree: &Path) -> Result<()> {
        if proof::holds_tree(&self.dir, tree) {
            return Ok(());
        }
        let what = || format!("use the image {}", self.manifest.name);
        let mut compare = Command::new("tar");
        compare.arg("--compare").args(NO_DEVICES).arg("-f").arg(self.dir.join("root.tar")).arg("-C").arg(tree);
        let output = command::tied(&compare).output().context(what)?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stdout);
            let first: Vec<&str> = said.lines().take(3).collect();
            let why = format!("{} is not what was unpacked: {}", tree.display(), first.join("; "));
            let hint = format!(
                "destroy the labs whose nodes run on it, then rm -rf {}; `lab up` unpacks it again",
                tree.display()
            );
            return Err(Error::failed(what(), why).hint(hint));
        }
        proof::keep_tree(&self.dir, tree)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(images: &Path) -> Image {
        let built = tempfile::tempdir_in(images).unwrap();
        for name in ["disk.qcow2", "initrd.img", "root.tar", "vmlinuz"] {
            std::fs::write(built.path().join(name), name).unwrap();
        }
        let manifest =
            Manifest { name: "x".into(), key: "k1".into(), bundle: None, packages: Vec::new(), files: Vec::new() };
        seal(built, images, manifest).unwrap()
    }

    #[test]
    fn no_part_and_no_flip_of_a_manifest_makes_other_files_good() {
        let images = tempfile::tempdir().unwrap();
        let image = image(images.path());
        let path = image.dir.join(MANIFEST);
        let whole = std::fs::read(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let digests = |image: &Image| image.manifest.files.iter().map(|f| f.sha256.clone()).collect::<Vec<_>>();
        for at in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[at] ^= 1 << (at % 8);
            for text in [&flipped[..], &whole[..at]] {
                std::fs::write(&path, text).unwrap();
                if let Some(found) = find(images.path(), "k1").filter(|found| found.verify().is_ok()) {
                    assert!(digests(&image).starts_with(&digests(&found)) && text.len() == whole.len(), "byte {at}");
                }
            }
        }
    }

    /// Writes until the kernel's clock for files, which is coarse, shows that somebody did.
    fn overwrite(image: &Image, file: &Path, text: &str) {
        loop {
            std::fs::write(file, text).unwrap();
            if !proof::holds(&image.dir, &image.names()) {
                return;
            }
        }
    }

    #[test]
    fn two_builds_of_one_key_with_other_bytes_have_other_contents() {
        let images = tempfile::tempdir().unwrap();
        let built = |disk: &str| {
            let built = tempfile::tempdir_in(images.path()).unwrap();
            for name in ["disk.qcow2", "initrd.img", "root.tar", "vmlinuz"] {
                std::fs::write(built.path().join(name), if name == "disk.qcow2" { disk } else { name }).unwrap();
            }
            let manifest =
                Manifest { name: "x".into(), key: "k".into(), bundle: None, packages: Vec::new(), files: Vec::new() };
            seal(built, images.path(), manifest).unwrap().manifest
        };
        let (first, second, again) = (built("a"), built("b"), built("a"));
        assert!(first.key == second.key && first.content() != second.content());
        assert_eq!(first.content(), again.content());
    }

    #[test]
    fn a_sealed_image_is_found_and_a_damaged_one_is_not_used() {
        let images = tempfile::tempdir().unwrap();
        let image = image(images.path());
        assert!(image.verify().is_ok());
        assert_eq!(list(images.path()).len(), 1);
        assert!(image.prove().is_ok() && proof::holds(&image.dir, &image.names()), "it was proved when it was made");
        let disk = image.dir.join("disk.qcow2");
        std::fs::set_permissions(&disk, std::fs::Permissions::from_mode(0o644)).unwrap();
        overwrite(&image, &disk, "disk.qcow3");
        assert!(image.verify().is_err());
        let error = image.prove().unwrap_err();
        assert!(error.why.contains("disk.qcow2") && error.hint.unwrap().contains("lab image build x"));
        overwrite(&image, &disk, "disk.qcow2");
        image.prove().unwrap();
        assert!(proof::holds(&image.dir, &image.names()), "and it was proved anew");
        std::fs::write(&disk, "short").unwrap();
        assert!(find(images.path(), "k1").is_none());
    }
}
