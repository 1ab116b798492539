//! Finished images in the cache: sealed, read-only, known by the digest of their inputs, never used when damaged.

use crate::bundle::{PartFile, sha256};
use crate::error::{Context, Error, Result};
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

const MANIFEST: &str = "manifest.json";
const TREE: &str = "tree";

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
    Ok(Image { dir, manifest })
}

/// The image of this key, if it is whole by its sizes. [`Image::verify`] proves the content.
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

    /// The unpacked tree, for drivers that share the host's kernel; made at the first call. Needs root.
    ///
    /// # Errors
    /// The tree cannot be unpacked.
    pub fn tree(&self) -> Result<PathBuf> {
        let tree = self.dir.join(TREE);
        if tree.exists() {
            return Ok(tree);
        }
        let what = || format!("unpack the image {}", self.manifest.name);
        let fresh = tempfile::Builder::new().prefix(".tree-").tempdir_in(&self.dir).context(what)?;
        std::fs::set_permissions(fresh.path(), std::fs::Permissions::from_mode(0o755)).context(what)?;
        let mut command = Command::new("tar");
        command.args(["--xattrs", "--xattrs-include=*", "--numeric-owner", "-xpf"]).arg(self.dir.join("root.tar"));
        let output = command.arg("-C").arg(fresh.path()).output().context(what)?;
        if !output.status.success() {
            return Err(Error::failed(what(), String::from_utf8_lossy(&output.stderr)));
        }
        match std::fs::rename(fresh.path(), &tree) {
            // Kept out of the temporary folder's own removal.
            Ok(()) => drop(fresh.keep()),
            Err(_) if tree.exists() => {}
            Err(e) => return Err(Error::failed(what(), e)),
        }
        Ok(tree)
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
    fn a_sealed_image_is_found_and_a_damaged_one_is_not_used() {
        let images = tempfile::tempdir().unwrap();
        let image = image(images.path());
        assert!(image.verify().is_ok());
        assert_eq!(list(images.path()).len(), 1);
        let disk = image.dir.join("disk.qcow2");
        std::fs::set_permissions(&disk, std::fs::Permissions::from_mode(0o644)).unwrap();
        std::fs::write(&disk, "disk.qcow3").unwrap();
        let error = image.verify().unwrap_err();
        assert!(error.why.contains("disk.qcow2") && error.hint.unwrap().contains("lab image build x"));
        std::fs::write(&disk, "short").unwrap();
        assert!(find(images.path(), "k1").is_none());
    }
}
