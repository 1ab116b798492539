//! Files that are whole or not there.

use crate::error::{Context, Result};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Replaces `path` by `content` with this mode: temporary file, fsync, rename, fsync of the folder. A reader sees the
/// old or the new, never a part.
pub fn atomically(path: &Path, content: &[u8], mode: u32) -> Result<()> {
    let what = || format!("write {}", path.display());
    let dir = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(dir).context(what)?;
    file.as_file().set_permissions(std::fs::Permissions::from_mode(mode)).context(what)?;
    file.write_all(content).context(what)?;
    file.as_file().sync_all().context(what)?;
    file.persist(path).context(what)?;
    std::fs::File::open(dir).and_then(|d| d.sync_all()).context(what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_and_leaves_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        atomically(&path, b"one", 0o644).unwrap();
        atomically(&path, b"two", 0o600).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
