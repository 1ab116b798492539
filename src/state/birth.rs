//! Which disk a node has: a random word beside the disk, and the same in the journal. A journal that names another one, or
//! none, does not speak of this disk.

use super::write;
use crate::error::{Context, Result};
use crate::paths::Paths;
use std::path::{Path, PathBuf};

fn path(node: &Path) -> PathBuf {
    node.join("birth")
}

/// The word of the node in this folder; empty when it has none.
pub fn read(node: &Path) -> String {
    std::fs::read_to_string(path(node)).unwrap_or_default()
}

/// Gives the node in this folder a new word.
pub fn give(node: &Path) -> Result<String> {
    Paths::make_private(node)?;
    let mut bytes = [0u8; 8];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty()).context(|| "get a random word")?;
    let word = data_encoding::HEXLOWER.encode(&bytes);
    write::atomically(&path(node), word.as_bytes(), 0o600)?;
    Ok(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_are_the_same() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read(dir.path()), "");
        let first = give(dir.path()).unwrap();
        assert_eq!(read(dir.path()), first);
        assert_ne!(give(dir.path()).unwrap(), first);
    }
}
