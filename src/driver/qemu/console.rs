//! The node's serial log, watched for the kernel's last words.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// What a kernel says when it cannot go on.
const PANIC: &[u8] = b"Kernel panic - not syncing";

/// What a kernel says when it kills a process for the memory of the whole node.
const MEMORY_FULL: &[u8] = b"Out of memory: Killed process";

/// How many processes the kernel killed because memory was full, by what it said in this log.
pub fn memory_kills(log: &Path) -> usize {
    let text = std::fs::read(log).unwrap_or_default();
    text.windows(MEMORY_FULL.len()).filter(|words| *words == MEMORY_FULL).count()
}

/// How much is read at a time.
const CHUNK: usize = 64 << 10;

/// A serial log that is read as it grows.
pub struct Console {
    path: PathBuf,
    position: u64,
    /// The end of what was read before, since the words may lie across.
    tail: Vec<u8>,
}

impl Console {
    /// Reads this file from its begin; it may not exist yet.
    pub fn new(path: PathBuf) -> Self {
        Self { path, position: 0, tail: Vec::new() }
    }

    /// Reads what is new and says whether the kernel panicked in it.
    pub fn panicked(&mut self) -> io::Result<bool> {
        let mut file = match File::open(&self.path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
            other => other?,
        };
        if file.metadata()?.len() < self.position {
            // A new start of the node cut the log.
            self.position = 0;
            self.tail.clear();
        }
        file.seek(SeekFrom::Start(self.position))?;
        let mut chunk = vec![0; CHUNK];
        loop {
            let n = file.read(&mut chunk)?;
            if n == 0 {
                return Ok(false);
            }
            self.position += n as u64;
            self.tail.extend_from_slice(&chunk[..n]);
            if self.tail.windows(PANIC.len()).any(|w| w == PANIC) {
                return Ok(true);
            }
            let keep = self.tail.len().min(PANIC.len() - 1);
            self.tail.drain(..self.tail.len() - keep);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_panic_is_seen_even_in_two_parts() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("console.log");
        let mut console = Console::new(path.clone());
        assert!(!console.panicked().unwrap(), "no log yet");
        let mut log = File::create(&path).unwrap();
        log.write_all(&vec![b'x'; 2 * CHUNK]).unwrap();
        log.write_all(b"\n[    1.0] Kernel panic - not sy").unwrap();
        assert!(!console.panicked().unwrap());
        log.write_all(b"ncing: VFS: Unable to mount root fs").unwrap();
        assert!(console.panicked().unwrap());
        std::fs::write(&path, "Linux version 6.12").unwrap();
        assert!(!console.panicked().unwrap(), "a new start");
        let kill = "[ 9.1] Out of memory: Killed process 77 (stress)\n";
        std::fs::write(&path, format!("{kill}x\n{kill}")).unwrap();
        assert_eq!(memory_kills(&path), 2);
    }
}
