//! Whose a folder for sockets is. Its name is a digest, which leads nowhere back: so the lab's own folder stands in it,
//! for the day when that folder was deleted by hand and something of the lab still runs.

use super::write;
use crate::error::Result;
use crate::paths::Paths;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

const FILE: &str = "lab";

/// Makes the lab's folder for sockets, with the word that it is the lab's.
pub fn make(paths: &Paths, lab: &str) -> Result<()> {
    let run = paths.lab_run(lab);
    Paths::make_private(&run)?;
    let dir = paths.lab(lab);
    if read(&run).as_deref() == Some(dir.as_path()) {
        return Ok(());
    }
    write::atomically(&run.join(FILE), dir.as_os_str().as_bytes(), 0o600)
}

/// The folder of the lab that has this one for its sockets.
pub fn read(run: &Path) -> Option<PathBuf> {
    let bytes = std::fs::read(run.join(FILE)).ok().filter(|bytes| !bytes.is_empty())?;
    Some(PathBuf::from(OsString::from_vec(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_back_is_written_once_and_mended() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let paths = Paths { cache: at("cache"), state: at("state"), run: at("run") };
        assert_eq!(read(&paths.lab_run("x")), None);
        make(&paths, "x").unwrap();
        make(&paths, "x").unwrap();
        assert_eq!(read(&paths.lab_run("x")), Some(at("state/x")));
        std::fs::write(paths.lab_run("x").join(FILE), "").unwrap();
        assert_eq!(read(&paths.lab_run("x")), None);
        make(&paths, "x").unwrap();
        assert_eq!(read(&paths.lab_run("x")), Some(at("state/x")));
    }
}
