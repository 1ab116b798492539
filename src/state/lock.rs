//! One writer per lab. The lock is the kernel's: a holder that died holds nothing.

use crate::error::{Context, Error, Result};
use crate::paths::Paths;
use std::fs::{File, TryLockError};
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// How long a holder that is just ending is waited for. One that was killed may have a child that holds the lock for a
/// moment longer: between its fork and its exec it has all of its parent's descriptors.
const PATIENCE: Duration = Duration::from_secs(5);

/// A held lock; let go when it is dropped.
pub struct Lock {
    file: File,
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing is not enough: a child between its fork and its exec still has the descriptor.
        let _ = self.file.unlock();
    }
}

/// Takes the lock of a lab, waiting a little for another that ends.
///
/// # Errors
/// Somebody else has it: the message names the process.
pub fn acquire(path: &Path, lab: &str) -> Result<Lock> {
    within(PATIENCE, path, lab)
}

fn within(patience: Duration, path: &Path, lab: &str) -> Result<Lock> {
    let what = || format!("lock the lab {lab}");
    let begun = Instant::now();
    loop {
        // A `destroy` that ended meanwhile has taken the folder away.
        path.parent().map_or(Ok(()), Paths::make_private)?;
        let open = File::options().create(true).read(true).write(true).truncate(false).open(path);
        let file = match open {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
            open => open.context(what)?,
        };
        let Some(mut file) = lock(file, patience.saturating_sub(begun.elapsed())).context(what)? else {
            let mut holder = String::new();
            File::open(path).and_then(|mut f| f.read_to_string(&mut holder)).context(what)?;
            let why = format!("another `lab` works on it: {}", holder.trim());
            return Err(Error::failed(what(), why).hint("wait for it, or end it with Ctrl-C"));
        };
        if !is_at(&file, path) {
            continue;
        }
        file.set_len(0).context(what)?;
        let command = std::env::args().take(3).collect::<Vec<_>>().join(" ");
        write!(file, "process {} ({command})", std::process::id()).context(what)?;
        return Ok(Lock { file });
    }
}

/// The file, locked; None when somebody else has kept it.
fn lock(file: File, patience: Duration) -> std::io::Result<Option<File>> {
    match file.try_lock() {
        Ok(()) => return Ok(Some(file)),
        Err(TryLockError::Error(e)) => return Err(e),
        Err(TryLockError::WouldBlock) => {}
    }
    // The kernel's wait knows no time limit: it has a thread of its own, which lets go at once when nobody waits any more.
    let (sender, locked) = mpsc::channel();
    std::thread::spawn(move || {
        let done = file.lock().map(|()| file);
        let _ = sender.send(done);
    });
    locked.recv_timeout(patience).map_or(Ok(None), |done| done.map(Some))
}

/// Whether the path still leads to this file.
fn is_at(file: &File, path: &Path) -> bool {
    let identity = |m: std::fs::Metadata| (m.dev(), m.ino());
    let (ours, there) = (file.metadata().map(identity), std::fs::metadata(path).map(identity));
    matches!((ours, there), (Ok(a), Ok(b)) if a == b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holder_is_refused_and_told_who_has_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let held = acquire(&path, "x").unwrap();
        let error = within(Duration::from_millis(20), &path, "x").err().unwrap();
        assert!(error.why.contains(&std::process::id().to_string()), "{error}");
        drop(held);
        assert!(acquire(&path, "x").is_ok());
    }

    #[test]
    fn a_lock_whose_file_was_removed_meanwhile_is_not_the_labs() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x/lock");
        let held = acquire(&path, "x").unwrap();
        let waiting = {
            let path = path.clone();
            std::thread::spawn(move || acquire(&path, "x").unwrap())
        };
        // What `destroy` does at its end, while another waits. A thread that waits for a lock gives no sign of it; one
        // that comes later only finds the file gone, so that the test holds either way.
        std::thread::sleep(Duration::from_millis(50));
        std::fs::remove_dir_all(dir.path().join("x")).unwrap();
        drop(held);
        let second = waiting.join().unwrap();
        assert!(is_at(&second.file, &path));
        assert!(within(Duration::from_millis(20), &path, "x").is_err(), "there is one writer");
    }
}
