//! What a bundle has in it: each part's files with their digests, where it comes from and what it stands for.

use crate::error::{Context, Error, Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::io::Read;
use std::path::{Path, PathBuf};

/// The truth about a bundle.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    pub name: String,
    pub version: String,
    /// Digest of everything that went in.
    pub key: String,
    pub parts: Vec<Part>,
}

/// One part of a bundle.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Part {
    pub name: String,
    pub key: String,
    pub origin: String,
    pub stands_for: Option<String>,
    /// For container images and packages: what is inside, one line each.
    pub details: Vec<String>,
    pub files: Vec<PartFile>,
}

/// A file of a part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PartFile {
    /// Below the part's folder.
    pub name: String,
    pub sha256: String,
    /// Bytes.
    pub size: u64,
}

/// A finished bundle on disk: `dir/PART/FILE` and `dir/manifest.json`.
#[derive(Debug, Clone)]
pub struct Bundle {
    pub dir: PathBuf,
    pub manifest: Manifest,
}

impl Bundle {
    /// Every file's path and record.
    pub fn files(&self) -> impl Iterator<Item = (PathBuf, &PartFile)> {
        let files = |part: &'_ Part| self.dir.join(&part.name);
        self.manifest.parts.iter().flat_map(move |part| {
            let dir = files(part);
            part.files.iter().map(move |file| (dir.join(&file.name), file))
        })
    }

    /// Reads every file and compares its digest.
    ///
    /// # Errors
    /// Names the file that is not what was built.
    pub fn verify(&self) -> Result<()> {
        for (path, file) in self.files() {
            let (digest, _) = sha256(&path)?;
            if digest != file.sha256 {
                let why = format!("{} is damaged: its digest is not what was built", path.display());
                let what = format!("use the bundle {}", self.manifest.name);
                return Err(Error::failed(what, why).hint("run `lab bundle build`, which builds the part again"));
            }
        }
        Ok(())
    }
}

/// The sha256 of a file in hex, and its size in bytes.
pub fn sha256(path: &Path) -> Result<(String, u64)> {
    let what = || format!("read {}", path.display());
    let mut file = std::fs::File::open(path).context(what)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    let mut size = 0;
    loop {
        let n = file.read(&mut buffer).context(what)?;
        if n == 0 {
            break;
        }
        hasher.update(&buffer[..n]);
        size += n as u64;
    }
    Ok((data_encoding::HEXLOWER.encode(&hasher.finalize()), size))
}
