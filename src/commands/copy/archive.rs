//! This host's end of a copy: a tar stream from a path, and to one.

use crate::error::{Context, Error, Result};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// The name of the last entry: a stream without it was cut.
const WHOLE: &str = "lab.whole";

/// Writes what is at `path` as a tar stream. Links inside a folder stay links; `path` itself is followed.
pub fn pack(path: &Path, to: impl Write) -> Result<()> {
    let what = || format!("read {}", path.display());
    let kind = fs::metadata(path).context(what)?;
    let mut archive = tar::Builder::new(to);
    archive.follow_symlinks(false);
    let packed = if kind.is_dir() {
        archive.append_dir_all("item", path)
    } else {
        File::open(path).and_then(|mut file| archive.append_file("item", &mut file))
    };
    let packed = packed.and_then(|()| {
        let mut header = tar::Header::new_gnu();
        header.set_size(0);
        header.set_mode(0o600);
        archive.append_data(&mut header, WHOLE, std::io::empty())
    });
    match packed.and_then(|()| archive.into_inner()).and_then(|mut to| to.flush()) {
        // The node says why it stopped reading.
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context(what),
    }
}

/// Reads a tar stream of one file or folder to `to`; into it, under `name` or its own, where it is a folder.
pub fn unpack(from: impl Read, to: &Path, name: Option<&str>) -> Result<()> {
    let what = || format!("write {}", to.display());
    let inside = to.is_dir();
    if !inside && to.as_os_str().as_encoded_bytes().ends_with(b"/") {
        return Err(Error::input(what(), "there is no such folder"));
    }
    let beside = if inside { to } else { to.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new(".")) };
    let new = tempfile::Builder::new().prefix(".lab-").tempdir_in(beside).context(what)?;
    tar::Archive::new(from).unpack(new.path()).context(what)?;
    if fs::remove_file(new.path().join(WHOLE)).is_err() {
        return Err(Error::failed(what(), "the copy was cut"));
    }
    let item = fs::read_dir(new.path()).context(what)?.next();
    let item = item.ok_or_else(|| Error::failed(what(), "the node sent nothing"))?.context(what)?;
    let target: PathBuf = match name {
        _ if !inside => to.to_owned(),
        Some(name) => to.join(name),
        None => to.join(item.file_name()),
    };
    place(&item.path(), &target).context(what)
}

/// Moves `from` to `to`; a folder goes into one that is there.
fn place(from: &Path, to: &Path) -> std::io::Result<()> {
    if !(to.is_dir() && from.is_dir() && !from.is_symlink()) {
        return fs::rename(from, to);
    }
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        place(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn packed(path: &Path) -> Vec<u8> {
        let mut bytes = Vec::new();
        pack(path, &mut bytes).unwrap();
        bytes
    }

    #[test]
    fn a_folder_arrives_whole_beside_under_its_name_and_into_what_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let from = dir.path().join("from");
        fs::create_dir_all(from.join("sub")).unwrap();
        fs::write(from.join("sub/run"), "new").unwrap();
        fs::set_permissions(from.join("sub/run"), fs::Permissions::from_mode(0o755)).unwrap();
        symlink("sub/run", from.join("link")).unwrap();
        let bytes = packed(&from);
        let to = dir.path().join("to");
        unpack(&bytes[..], &to, Some("x")).unwrap();
        assert_eq!(fs::read_to_string(to.join("link")).unwrap(), "new");
        assert!(to.join("link").is_symlink());
        assert_eq!(fs::metadata(to.join("sub/run")).unwrap().permissions().mode() & 0o777, 0o755);
        fs::create_dir_all(to.join("x/sub")).unwrap();
        fs::write(to.join("x/sub/mine"), "kept").unwrap();
        unpack(&bytes[..], &to, Some("x")).unwrap();
        assert_eq!(fs::read_dir(to.join("x/sub")).unwrap().count(), 2);
        assert_eq!(fs::read_dir(&to).unwrap().count(), 3, "nothing else is left");
    }

    #[test]
    fn a_stream_that_was_cut_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let from = dir.path().join("from");
        fs::write(&from, "a file").unwrap();
        let bytes = packed(&from);
        let to = dir.path().join("to");
        fs::write(&to, "old").unwrap();
        for cut in [0, 512, 1024] {
            assert!(unpack(&bytes[..cut], &to, None).is_err(), "{cut}");
        }
        assert_eq!(fs::read_to_string(&to).unwrap(), "old");
        unpack(&bytes[..], &to, None).unwrap();
        assert_eq!(fs::read_to_string(&to).unwrap(), "a file");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn what_is_not_there_is_told() {
        let dir = tempfile::tempdir().unwrap();
        assert!(pack(&dir.path().join("no"), Vec::new()).is_err());
        let e = unpack(&[][..], &dir.path().join("no").join(""), None).unwrap_err();
        assert!(e.why.contains("no such folder"), "{e}");
    }
}
