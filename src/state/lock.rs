//! One writer per lab. The lock is the kernel's: a holder that died holds nothing.

use crate::error::{Context, Error, Result};
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

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

/// Takes the lock of a lab.
///
/// # Errors
/// Somebody else has it: the message names the process.
pub fn acquire(path: &Path, lab: &str) -> Result<Lock> {
    let what = || format!("lock the lab {lab}");
    let mut file = File::options().create(true).read(true).write(true).truncate(false).open(path).context(what)?;
    if file.try_lock().is_err() {
        let mut holder = String::new();
        file.read_to_string(&mut holder).context(what)?;
        let why = format!("another `lab` works on it: {}", holder.trim());
        return Err(Error::failed(what(), why).hint("wait for it, or end it with Ctrl-C"));
    }
    file.set_len(0).context(what)?;
    let command = std::env::args().take(3).collect::<Vec<_>>().join(" ");
    write!(file, "process {} ({command})", std::process::id()).context(what)?;
    Ok(Lock { file })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holder_is_refused_and_told_who_has_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let held = acquire(&path, "x").unwrap();
        let error = acquire(&path, "x").err().unwrap();
        assert!(error.why.contains(&std::process::id().to_string()), "{error}");
        drop(held);
        assert!(acquire(&path, "x").is_ok());
    }
}
