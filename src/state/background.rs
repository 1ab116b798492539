//! A background process of a lab: our own executable under a hidden verb, started once, found again, stopped.

use super::process::{ProcessId, detached};
use super::tail::last_lines;
use super::write::atomically;
use crate::error::{Context, Error, Kind, Result};
use crate::paths::Paths;
use rustix::process::Signal;
use serde::{Deserialize, Serialize};
use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::AsyncReadExt;

/// What the process writes to its standard output once it serves.
const READY: &[u8] = b"ready\n";

/// How long the process may take to start, and to end when asked to.
const PATIENCE: Duration = Duration::from_secs(20);

/// One kind of background process of one lab.
#[derive(Debug, Clone)]
pub struct Background {
    /// The lab's folder for sockets; its record, log and lock are there.
    run: PathBuf,
    /// The name of its files.
    name: &'static str,
    /// What it is called in messages.
    title: &'static str,
    /// The arguments that only it has; what it serves follows them.
    mark: Vec<OsString>,
}

/// A background process as it wrote itself down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    pub process: ProcessId,
    /// What it serves.
    pub serves: Vec<String>,
}

/// What the process itself holds for life: there is one per lab, and its record goes with it.
pub struct Held {
    record: PathBuf,
    _lock: File,
}

impl Drop for Held {
    fn drop(&mut self) {
        // Gone already is as good, and a record of a dead process is believed by nobody.
        let _ = std::fs::remove_file(&self.record);
    }
}

impl Background {
    /// The process of this name in a lab's folder for sockets, run as `VERB --run RUN -- WHAT...`.
    pub fn new(run: &Path, name: &'static str, title: &'static str, verb: &str) -> Self {
        let mark = vec![verb.into(), "--run".into(), run.as_os_str().to_owned(), "--".into()];
        Self { run: run.to_owned(), name, title, mark }
    }

    fn file(&self, kind: &str) -> PathBuf {
        self.run.join(format!("{}.{kind}", self.name))
    }

    /// The process by its record; by its arguments where that is lost or damaged, or not yet written.
    pub fn find(&self) -> Option<Running> {
        let text = std::fs::read(self.file("json")).unwrap_or_default();
        let recorded = serde_json::from_slice::<Running>(&text).ok().filter(|running| running.process.alive());
        recorded.or_else(|| self.scan())
    }

    /// Looks through the host's processes.
    fn scan(&self) -> Option<Running> {
        let processes = std::fs::read_dir("/proc").ok()?;
        let mut pids = processes.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        pids.find_map(|pid| {
            // The identity first: should the pid change hands in between, it belongs to nobody.
            let process = ProcessId::of(pid)?;
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
            let arguments: Vec<&[u8]> = line.strip_suffix(b"\0")?.split(|b| *b == 0).collect();
            let mark: Vec<&[u8]> = self.mark.iter().map(|a| a.as_encoded_bytes()).collect();
            // A shell that is about to become it has them further behind.
            let at = arguments.windows(mark.len()).position(|window| window == mark)?;
            let serves = arguments[at + mark.len()..].iter().map(|a| String::from_utf8_lossy(a).into_owned());
            process.alive().then(|| Running { process, serves: serves.collect() })
        })
    }

    /// Starts the process, which outlives us, and returns when it says that it serves. `command` is what comes before its
    /// verb.
    pub async fn spawn(&self, command: &[&OsStr], what: &[String]) -> Result<ProcessId> {
        let names = what.iter().map(AsRef::as_ref);
        let all: Vec<&OsStr> =
            command.iter().copied().chain(self.mark.iter().map(AsRef::as_ref)).chain(names).collect();
        self.run_command(&all).await
    }

    async fn run_command(&self, command: &[&OsStr]) -> Result<ProcessId> {
        Paths::make_private(&self.run)?;
        let what = || format!("start {}", self.title);
        let log = OpenOptions::new().create(true).append(true).open(self.file("log")).context(what)?;
        let (program, arguments) = command.split_first().ok_or_else(|| Error::failed(what(), "no command"))?;
        let mut command = detached(program);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        let mut child = command.spawn().context(what)?;
        let mut said = Vec::new();
        if let Some(out) = child.stdout.take() {
            let mut out = out.take(READY.len() as u64);
            // The pipe ends when the process does; a time-out only guards against one that hangs.
            let _ = tokio::time::timeout(PATIENCE, out.read_to_end(&mut said)).await;
        }
        match self.find() {
            Some(running) if said == READY => Ok(running.process),
            _ => {
                // It is ours and not reaped, so the number cannot be somebody else's.
                let _ = child.kill().await;
                let why = last_lines(&self.file("log"), 5);
                let why = if why.is_empty() { "it ended before it was ready".to_owned() } else { why };
                Err(Error::failed(what(), why).hint(format!("its log is {}", self.file("log").display())))
            }
        }
    }

    /// Ends the process and removes its record, log and lock. Nothing to end is fine.
    pub async fn stop(&self) -> Result<()> {
        if let Some(running) = self.find() {
            running.process.signal(Signal::TERM);
            if !running.process.gone(PATIENCE).await {
                running.process.signal(Signal::KILL);
                if !running.process.gone(PATIENCE).await {
                    let why = format!("process {} stays", running.process.pid);
                    return Err(Error::failed(format!("stop {}", self.title), why));
                }
            }
        }
        let removed = ["json", "log", "lock"].map(|kind| std::fs::remove_file(self.file(kind)).or_else(ignore_missing));
        let removed: std::io::Result<Vec<()>> = removed.into_iter().collect();
        removed.map(drop).context(|| format!("remove the files of {} in {}", self.title, self.run.display()))
    }

    /// In the process itself: takes the lock of the lab's one process of this kind, which the kernel gives up with it,
    /// and records it, so that a `lab` killed while it starts one cannot leave an unknown one behind.
    pub fn begin(&self, serves: &[String]) -> Result<Held> {
        let what = || format!("start {}", self.title);
        let lock = OpenOptions::new().create(true).append(true).open(self.file("lock")).context(what)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::failed(what(), "another one already serves this lab")),
            Err(TryLockError::Error(e)) => return Err(Error::failed(what(), e)),
        }
        let process = ProcessId::of(std::process::id())
            .ok_or_else(|| Error::new(Kind::Host, what(), "this host does not show its processes"))?;
        let running = Running { process, serves: serves.to_vec() };
        let text = serde_json::to_vec(&running).context(what)?;
        atomically(&self.file("json"), &text, 0o600)?;
        Ok(Held { record: self.file("json"), _lock: lock })
    }

    /// In the process itself: tells who started it that it serves now.
    pub fn ready(&self) -> Result<()> {
        let mut out = std::io::stdout();
        out.write_all(READY).and_then(|()| out.flush()).context(|| format!("tell that {} is ready", self.title))
    }
}

fn ignore_missing(e: std::io::Error) -> std::io::Result<()> {
    if e.kind() == ErrorKind::NotFound { Ok(()) } else { Err(e) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(run: &Path) -> Background {
        Background::new(run, "keeper", "the keeper", "keep")
    }

    #[tokio::test]
    async fn one_that_cannot_start_says_why() {
        let dir = tempfile::tempdir().unwrap();
        let background = of(&dir.path().join("run"));
        let e = background.spawn(&[OsStr::new("/bin/false")], &[]).await.unwrap_err();
        assert!(e.hint.unwrap().contains("keeper.log"));
        let e = background.spawn(&[OsStr::new("/nonexistent")], &[]).await.unwrap_err();
        assert!(e.why.contains("/nonexistent: not found"), "{e}");
        assert_eq!(background.find(), None);
    }

    #[tokio::test]
    async fn a_recycled_pid_is_not_it_and_others_files_stay() {
        let dir = tempfile::tempdir().unwrap();
        let background = of(dir.path());
        let me = ProcessId::of(std::process::id()).unwrap();
        let write = |process| {
            let text = serde_json::to_vec(&Running { process, serves: vec!["lan".into()] }).unwrap();
            std::fs::write(background.file("json"), text).unwrap();
        };
        write(me);
        assert_eq!(background.find().unwrap().process, me);
        write(ProcessId { start: me.start + 1, ..me });
        assert_eq!(background.find(), None);
        std::fs::write(dir.path().join("n1.qmp"), "").unwrap();
        background.stop().await.unwrap();
        background.stop().await.unwrap();
        let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left, ["n1.qmp"]);
    }

    #[tokio::test]
    async fn one_whose_record_is_lost_is_found_by_its_arguments() {
        let dir = tempfile::tempdir().unwrap();
        // A shell under the verb's arguments that waits for a writer who never comes.
        let fifo = dir.path().join("fifo");
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        std::fs::write(dir.path().join("keep"), format!(": < {}\n", fifo.display())).unwrap();
        let mut command = tokio::process::Command::new("sh");
        command.args(["keep", "--run"]).arg(dir.path()).args(["--", "lan", "dmz"]).current_dir(dir.path());
        let mut child = command.spawn().unwrap();
        // Until its exec the child is a copy of this test.
        while of(dir.path()).find().is_none() {
            tokio::task::yield_now().await;
        }
        let found = of(dir.path()).find().unwrap();
        assert_eq!((Some(found.process.pid), found.serves.len()), (child.id(), 2));
        assert_eq!(of(&dir.path().join("other")).find(), None);
        child.kill().await.unwrap();
        assert_eq!(of(dir.path()).find(), None);
    }

    #[test]
    fn there_is_one_per_lab_and_its_record_goes_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let background = of(dir.path());
        let held = background.begin(&["lan".into()]).unwrap();
        assert_eq!(background.find().unwrap().serves, ["lan"]);
        assert!(background.begin(&[]).err().unwrap().why.contains("already"));
        drop(held);
        assert_eq!(background.find(), None);
        background.begin(&[]).unwrap();
    }
}
