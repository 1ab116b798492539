//! One builder at a time in a folder of the cache; what a killed builder left is cleared.

use crate::error::{Context, Result};
use crate::event::Reporter;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

/// Folders that a build has not finished begin so; nothing else in the cache does.
pub const UNFINISHED: &str = ".building-";

/// Held while building; the kernel lets go of it when the process ends, however it ends.
pub struct Lock {
    _file: File,
}

/// Waits until no other process builds in `dir`, then clears what earlier ones left unfinished, there and in `parts`.
pub fn take(dir: &Path, task: &str, reporter: &Reporter) -> Result<Lock> {
    let what = || format!("lock {}", dir.display());
    std::fs::create_dir_all(dir).context(what)?;
    let file = File::create(dir.join("lock")).context(what)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            reporter.progress(task, "waiting for another lab that builds here");
            file.lock().context(what)?;
        }
        Err(TryLockError::Error(e)) => return Err(e).context(what),
    }
    for below in [dir.to_owned(), dir.join("parts")] {
        clear(&below);
    }
    Ok(Lock { _file: file })
}

/// What builds that were cut have left here and in `parts`; nothing while somebody builds.
pub fn unfinished(dir: &Path) -> Vec<PathBuf> {
    // A folder without a lock has never been built in since.
    let busy = File::open(dir.join("lock")).is_ok_and(|file| file.try_lock().is_err());
    let dirs = [dir.to_owned(), dir.join("parts")].into_iter().filter(|_| !busy);
    let entries = dirs.flat_map(|dir| std::fs::read_dir(dir).into_iter().flatten().flatten());
    entries.filter(|e| e.file_name().to_string_lossy().starts_with(UNFINISHED)).map(|e| e.path()).collect()
}

/// What cannot be removed stays: it is in nobody's way.
fn clear(dir: &Path) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::time::Duration;

    #[test]
    fn a_second_builder_waits_and_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let silent = Reporter::silent();
        let first = take(dir.path(), "t", &silent).unwrap();
        let (sender, events) = mpsc::channel();
        let path = dir.path().to_owned();
        let second = std::thread::spawn(move || {
            let done = sender.clone();
            let _lock = take(&path, "t", &Reporter::new(move |e| drop(sender.send(format!("{e:?}"))))).unwrap();
            done.send("taken".to_owned()).unwrap();
        });
        assert!(events.recv_timeout(Duration::from_secs(5)).unwrap().contains("waiting"));
        assert!(events.recv_timeout(Duration::from_millis(100)).is_err());
        drop(first);
        assert_eq!(events.recv_timeout(Duration::from_secs(5)).unwrap(), "taken");
        second.join().unwrap();
    }

    #[test]
    fn what_was_cut_off_is_cleared_and_the_rest_stays() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("parts/.building-x/deep")).unwrap();
        std::fs::create_dir_all(dir.path().join("parts/good")).unwrap();
        take(dir.path(), "t", &Reporter::silent()).unwrap();
        assert!(!dir.path().join("parts/.building-x").exists() && dir.path().join("parts/good").exists());
    }
}
