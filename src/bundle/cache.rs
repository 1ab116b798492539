//! Parts in the cache: a folder per key, made beside and renamed whole, verified before use.

use super::lock;
use super::manifest::{PartFile, sha256};
use crate::error::{Context, Result};
use crate::state::write;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The record of a finished part; its presence means that the folder is whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PartRecord {
    pub key: String,
    pub files: Vec<PartFile>,
    /// More about the origin that only the build could tell, as package versions.
    pub details: Vec<String>,
}

/// A part in the cache.
#[derive(Debug, Clone)]
pub struct CachedPart {
    pub dir: PathBuf,
    pub record: PartRecord,
}

const RECORD: &str = "part.json";

/// Finds a finished part and proves that every file is what was built.
pub fn find(parts: &Path, name: &str, key: &str) -> std::result::Result<CachedPart, Missing> {
    let dir = parts.join(format!("{name}-{key}"));
    let Ok(text) = std::fs::read(dir.join(RECORD)) else { return Err(Missing::Never) };
    let record = serde_json::from_slice::<PartRecord>(&text).ok().filter(|record| record.key == key);
    let Some(record) = record else { return Err(Missing::Damaged(RECORD.to_owned())) };
    for file in &record.files {
        match sha256(&dir.join(&file.name)) {
            Ok((digest, size)) if digest == file.sha256 && size == file.size => {}
            _ => return Err(Missing::Damaged(file.name.clone())),
        }
    }
    Ok(CachedPart { dir, record })
}

/// Why a part is not to be had from the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Missing {
    /// It was never finished.
    Never,
    /// This file is not what was built.
    Damaged(String),
}

/// A folder to build a part in, beside its final place so that a rename is enough.
pub fn begin(parts: &Path) -> Result<tempfile::TempDir> {
    std::fs::create_dir_all(parts).context(|| format!("make {}", parts.display()))?;
    tempfile::Builder::new()
        .prefix(lock::UNFINISHED)
        .tempdir_in(parts)
        .context(|| "make a folder to build in".to_owned())
}

/// Makes a built folder the part of this key. What stood there before was damaged and goes.
pub fn finish(
    parts: &Path,
    name: &str,
    key: &str,
    built: tempfile::TempDir,
    details: Vec<String>,
) -> Result<CachedPart> {
    let mut files = Vec::new();
    collect(built.path(), Path::new(""), &mut files)?;
    files.sort_by(|a, b| a.name.cmp(&b.name));
    let record = PartRecord { key: key.to_owned(), files, details };
    let text = serde_json::to_vec_pretty(&record).context(|| "write a part's record".to_owned())?;
    write::atomically(&built.path().join(RECORD), &text, 0o644)?;
    let dir = parts.join(format!("{name}-{key}"));
    let what = || format!("move the part {name} into the cache");
    if dir.exists() {
        std::fs::remove_dir_all(&dir).context(what)?;
    }
    std::fs::rename(built.keep(), &dir).context(what)?;
    Ok(CachedPart { dir, record })
}

fn collect(root: &Path, below: &Path, files: &mut Vec<PartFile>) -> Result<()> {
    let dir = root.join(below);
    for entry in std::fs::read_dir(&dir).context(|| format!("read {}", dir.display()))? {
        let entry = entry.context(|| format!("read {}", dir.display()))?;
        let name = below.join(entry.file_name());
        if entry.path().is_dir() {
            collect(root, &name, files)?;
        } else {
            let (sha256, size) = sha256(&entry.path())?;
            files.push(PartFile { name: name.display().to_string(), sha256, size });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_part_and_no_flip_of_a_record_makes_other_files_good() {
        let cache = tempfile::tempdir().unwrap();
        let built = begin(cache.path()).unwrap();
        for name in ["f", "g"] {
            std::fs::write(built.path().join(name), name).unwrap();
        }
        let part = finish(cache.path(), "p", "k", built, vec!["said".into()]).unwrap();
        let path = part.dir.join(RECORD);
        let whole = std::fs::read(&path).unwrap();
        for at in 0..whole.len() {
            for flip in [1, 4, 0x20, 0x80] {
                let mut flipped = whole.clone();
                flipped[at] ^= flip;
                for text in [&flipped[..], &whole[..at]] {
                    std::fs::write(&path, text).unwrap();
                    if let Ok(found) = find(cache.path(), "p", "k") {
                        assert_eq!((&found.record.key, &found.record.files), (&part.record.key, &part.record.files));
                    }
                }
            }
        }
    }

    #[test]
    fn a_flipped_bit_is_found() {
        let cache = tempfile::tempdir().unwrap();
        let built = begin(cache.path()).unwrap();
        std::fs::create_dir(built.path().join("d")).unwrap();
        std::fs::write(built.path().join("d/f"), b"content").unwrap();
        assert_eq!(find(cache.path(), "p", "k").unwrap_err(), Missing::Never);
        let part = finish(cache.path(), "p", "k", built, Vec::new()).unwrap();
        assert_eq!(find(cache.path(), "p", "k").unwrap().record, part.record);
        std::fs::write(part.dir.join("d/f"), b"c0ntent").unwrap();
        assert_eq!(find(cache.path(), "p", "k").unwrap_err(), Missing::Damaged("d/f".into()));
        let again = begin(cache.path()).unwrap();
        std::fs::write(again.path().join("f"), b"new").unwrap();
        finish(cache.path(), "p", "k", again, Vec::new()).unwrap();
        assert!(find(cache.path(), "p", "k").is_ok());
    }
}
