//! A place of its own for the real binary: state, cache and sockets in a temporary folder.

use assert_cmd::Command;
use std::path::{Path, PathBuf};

/// A user's folders for one test.
pub struct Home {
    dir: tempfile::TempDir,
}

impl Home {
    pub fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    /// The same in memory, where the host has that: for those who write much and long for no disk.
    #[allow(dead_code, reason = "only the kill harness has so many homes")]
    pub fn in_memory() -> Self {
        let memory = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
        Self { dir: memory.unwrap() }
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The binary, with these folders.
    pub fn lab(&self, args: &[&str]) -> Command {
        let mut command = Command::cargo_bin("lab").unwrap();
        command.args(args).current_dir(self.path()).env("LAB_STATE_DIR", self.state());
        command.env("LAB_RUN_DIR", self.path().join("run")).env("LAB_CACHE_DIR", self.path().join("cache"));
        command
    }

    pub fn state(&self) -> PathBuf {
        self.path().join("state")
    }

    /// Writes a file and returns its path.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

/// What a command printed to stdout and stderr, and its exit code.
pub fn run(mut command: Command) -> (String, String, Option<i32>) {
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr), output.status.code())
}
