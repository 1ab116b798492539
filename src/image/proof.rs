//! What was proved once is not read again: a record of each file's identity at that time. Who writes to a file changes its
//! times, also when he keeps its size.

use crate::error::{Context, Result};
use crate::state::{sealed, write};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

const FILES: &str = "proved.json";
const TREE: &str = "tree.json";

/// Names and what identifies their content.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Proof {
    identities: BTreeMap<String, String>,
}

/// Whether these files of a folder are those that were proved.
pub fn holds(dir: &Path, names: &[&str]) -> bool {
    let kept = std::fs::read(dir.join(FILES)).ok().and_then(|text| sealed::read_file::<Proof>(&text).ok());
    kept.is_some_and(|kept| files(dir, names).is_ok_and(|now| now == kept))
}

/// Keeps that these files were proved.
pub fn keep(dir: &Path, names: &[&str]) -> Result<()> {
    let what = || format!("record that {} is whole", dir.display());
    let text = sealed::file(&files(dir, names).context(what)?).context(what)?;
    write::atomically(&dir.join(FILES), &text, 0o644)
}

/// The same for all files of a tree.
pub fn holds_tree(dir: &Path, tree: &Path) -> bool {
    let kept = std::fs::read(dir.join(TREE)).ok().and_then(|text| sealed::read_file::<Proof>(&text).ok());
    kept.is_some_and(|kept| whole_tree(tree).is_ok_and(|now| now == kept))
}

/// The same for all files of a tree.
pub fn keep_tree(dir: &Path, tree: &Path) -> Result<()> {
    let what = || format!("record that {} is whole", tree.display());
    let text = sealed::file(&whole_tree(tree).context(what)?).context(what)?;
    write::atomically(&dir.join(TREE), &text, 0o644)
}

fn files(dir: &Path, names: &[&str]) -> std::io::Result<Proof> {
    let of = |name: &&str| Ok(((*name).to_owned(), identity(&std::fs::metadata(dir.join(name))?)));
    Ok(Proof { identities: names.iter().map(of).collect::<std::io::Result<_>>()? })
}

fn whole_tree(tree: &Path) -> std::io::Result<Proof> {
    let mut hasher = blake3::Hasher::new();
    let mut count = 0u64;
    walk(tree, &mut hasher, &mut count)?;
    let all = [("files", count.to_string()), ("digest", hasher.finalize().to_hex()[..32].to_owned())];
    Ok(Proof { identities: all.map(|(name, value)| (name.to_owned(), value)).into() })
}

/// The tree's own root is left out: its times change when it gets its name.
fn walk(dir: &Path, hasher: &mut blake3::Hasher, count: &mut u64) -> std::io::Result<()> {
    let mut entries = std::fs::read_dir(dir)?.collect::<std::io::Result<Vec<_>>>()?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let of = entry.metadata()?;
        *count += 1;
        hasher.update(entry.file_name().as_bytes()).update(b"\0").update(identity(&of).as_bytes());
        if of.is_dir() {
            walk(&entry.path(), hasher, count)?;
        }
    }
    Ok(())
}

fn identity(of: &std::fs::Metadata) -> String {
    format!(
        "{}:{} {:o} {} {}.{:09} {}.{:09}",
        of.dev(),
        of.ino(),
        of.mode(),
        of.size(),
        of.mtime(),
        of.mtime_nsec(),
        of.ctime(),
        of.ctime_nsec()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes until the kernel's clock for files, which is coarse, shows it.
    fn overwrite(file: &Path, text: &str) {
        let before = identity(&std::fs::metadata(file).unwrap());
        while identity(&std::fs::metadata(file).unwrap()) == before {
            std::fs::write(file, text).unwrap();
        }
    }

    #[test]
    fn a_byte_written_anywhere_in_a_tree_is_seen_also_when_its_time_is_put_back() {
        let dir = tempfile::tempdir().unwrap();
        let tree = dir.path().join("tree");
        std::fs::create_dir_all(tree.join("a/b")).unwrap();
        let file = tree.join("a/b/f");
        std::fs::write(&file, "content").unwrap();
        assert!(!holds_tree(dir.path(), &tree), "nothing was proved yet");
        keep_tree(dir.path(), &tree).unwrap();
        assert!(holds_tree(dir.path(), &tree));
        let time = std::fs::metadata(&file).unwrap().modified().unwrap();
        overwrite(&file, "c0ntent");
        std::fs::File::options().write(true).open(&file).unwrap().set_modified(time).unwrap();
        assert!(!holds_tree(dir.path(), &tree));
        keep_tree(dir.path(), &tree).unwrap();
        let text = std::fs::read(dir.path().join(TREE)).unwrap();
        std::fs::write(dir.path().join(TREE), &text[..text.len() - 9]).unwrap();
        assert!(!holds_tree(dir.path(), &tree), "a torn record proves nothing");
    }
}
