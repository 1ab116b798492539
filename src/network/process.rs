//! The switch as a background process of a lab: started once, found again, stopped.

use super::{serve, socket};
use crate::error::{Context, Error, Kind, Result};
use crate::event::Reporter;
use crate::paths::Paths;
use crate::state::process::ProcessId;
use crate::state::write::atomically;
use rustix::process::Signal;
use serde::{Deserialize, Serialize};
use std::ffi::OsStr;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::process::Command;

/// The hidden verb of our own executable that runs the switch: `switch --run DIR NETWORK...`.
pub const VERB: &str = "switch";

/// What the process writes to its standard output once its sockets take connections.
const READY: &[u8] = b"ready\n";

/// What the process keeps in the lab's folder for sockets, beside its sockets.
const OWN_FILES: [&str; 3] = ["switch.json", "switch.log", "switch.lock"];

/// How long the process may take to start, and to end when asked to.
const PATIENCE: Duration = Duration::from_secs(20);

/// Which switch serves which networks; kept in the lab's folder for sockets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    process: ProcessId,
    networks: Vec<String>,
}

/// Starts the lab's switch and returns when its sockets take connections. One that already serves these networks is
/// left running; one that serves others is replaced (the nodes' devices connect again by themselves). It outlives us.
pub async fn spawn(run: &Path, networks: &[String]) -> Result<ProcessId> {
    let exe = std::env::current_exe().context(|| "find our own executable")?;
    spawn_as(&[exe.as_os_str()], run, networks).await
}

/// [`spawn`] with another command that knows the hidden verb.
pub async fn spawn_as(command: &[&OsStr], run: &Path, networks: &[String]) -> Result<ProcessId> {
    let serves = |record: &Record| networks.iter().all(|n| record.networks.contains(n));
    match live(run) {
        Some(record) if serves(&record) => return Ok(record.process),
        Some(_) => stop(run).await?,
        None => {}
    }
    Paths::make_private(run)?;
    let what = || "start the network switch";
    let log_path = run.join("switch.log");
    let log = OpenOptions::new().create(true).append(true).open(&log_path).context(what)?;
    let (program, leading) = command.split_first().ok_or_else(|| Error::failed(what(), "no command"))?;
    let mut child = Command::new(program)
        .args(leading)
        .arg(VERB)
        .arg("--run")
        .arg(run)
        .arg("--")
        .args(networks)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        // It must not keep the user's folder busy.
        .current_dir("/")
        // Ctrl-C in our terminal is not meant for it.
        .process_group(0)
        .spawn()
        .context(what)?;
    let mut said = Vec::new();
    if let Some(out) = child.stdout.take() {
        let mut out = out.take(READY.len() as u64);
        // The pipe ends when the process does; a time-out only guards against one that hangs.
        let _ = tokio::time::timeout(PATIENCE, out.read_to_end(&mut said)).await;
    }
    match live(run) {
        Some(record) if said == READY => Ok(record.process),
        _ => {
            // It is ours and not reaped, so the number cannot be somebody else's.
            let _ = child.kill().await;
            let why = crate::state::tail::last_lines(&log_path, 5);
            let why = if why.is_empty() { "it ended before it was ready".to_owned() } else { why };
            Err(Error::failed(what(), why).hint(format!("its log is {}", log_path.display())))
        }
    }
}

/// The lab's switch, if it runs.
pub fn find(run: &Path) -> Option<ProcessId> {
    live(run).map(|record| record.process)
}

/// The switch by its record; by its arguments where that is lost or damaged, or not yet written.
fn live(run: &Path) -> Option<Record> {
    let text = std::fs::read(record_path(run)).unwrap_or_default();
    let recorded = serde_json::from_slice::<Record>(&text).ok().filter(|record| record.process.alive());
    recorded.or_else(|| scan(run))
}

/// Looks through the host's processes for `... switch --run RUN -- NETWORK...`.
fn scan(run: &Path) -> Option<Record> {
    let processes = std::fs::read_dir("/proc").ok()?;
    let mut pids = processes.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.find_map(|pid| {
        // The identity first: should the pid change hands in between, it belongs to nobody.
        let process = ProcessId::of(pid)?;
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let arguments: Vec<&[u8]> = line.strip_suffix(b"\0")?.split(|b| *b == 0).collect();
        let ours = [VERB.as_bytes(), b"--run", run.as_os_str().as_bytes(), b"--"];
        let networks = arguments.get(1..)?.strip_prefix(&ours[..])?;
        let networks = networks.iter().map(|n| String::from_utf8_lossy(n).into_owned()).collect();
        process.alive().then_some(Record { process, networks })
    })
}

/// Ends the lab's switch and removes what it left: sockets, record, log. Nothing to end is fine.
pub async fn stop(run: &Path) -> Result<()> {
    if let Some(process) = find(run) {
        process.signal(Signal::TERM);
        if !process.gone(PATIENCE).await {
            process.signal(Signal::KILL);
            if !process.gone(PATIENCE).await {
                return Err(Error::failed("stop the network switch", format!("process {} stays", process.pid)));
            }
        }
    }
    let what = || format!("remove the network switch's files in {}", run.display());
    let entries = match std::fs::read_dir(run) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
        other => other.context(what)?,
    };
    for entry in entries {
        let entry = entry.context(what)?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if OWN_FILES.contains(&name.as_ref()) || name.starts_with("net-") && name.ends_with(".sock") {
            std::fs::remove_file(entry.path()).or_else(ignore_missing).context(what)?;
        }
    }
    Ok(())
}

fn ignore_missing(e: std::io::Error) -> std::io::Result<()> {
    if e.kind() == ErrorKind::NotFound { Ok(()) } else { Err(e) }
}

/// The background process itself: what the hidden verb runs. It records itself, so that a `lab` killed while it starts
/// one cannot leave an unknown switch behind, and holds a lock for life, so that there is one per lab.
pub async fn run(run: &Path, networks: &[String], reporter: &Reporter) -> Result<()> {
    let _lock = lock(run)?;
    let process = ProcessId::of(std::process::id())
        .ok_or_else(|| Error::new(Kind::Host, "start the network switch", "this host does not show its processes"))?;
    let record = Record { process, networks: networks.to_vec() };
    let text = serde_json::to_vec(&record).context(|| "write the network switch's record")?;
    atomically(&record_path(run), &text, 0o600)?;
    let ready = || {
        let mut out = std::io::stdout();
        out.write_all(READY).and_then(|()| out.flush()).context(|| "tell that the network switch is ready")
    };
    let ended = serve::serve(networks.iter().map(|n| socket(run, n)).collect(), ready, reporter).await;
    std::fs::remove_file(record_path(run)).or_else(ignore_missing).context(|| "remove the network switch's record")?;
    ended
}

/// The lock of the lab's one switch; the kernel gives it up with the process.
fn lock(run: &Path) -> Result<File> {
    let what = || format!("lock {}", run.join("switch.lock").display());
    let file = OpenOptions::new().create(true).append(true).open(run.join("switch.lock")).context(what)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::failed(what(), "another switch already serves this lab")),
        Err(TryLockError::Error(e)) => Err(Error::failed(what(), e)),
    }
}

fn record_path(run: &Path) -> PathBuf {
    run.join("switch.json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_switch_that_cannot_start_says_why() {
        let dir = tempfile::tempdir().unwrap();
        let run = dir.path().join("run");
        let e = spawn_as(&[OsStr::new("/bin/false")], &run, &["lan".into()]).await.unwrap_err();
        assert!(e.hint.unwrap().contains("switch.log"));
        let e = spawn_as(&[OsStr::new("/nonexistent")], &run, &[]).await.unwrap_err();
        assert!(e.why.contains("No such file"), "{e}");
        assert_eq!(find(&run), None);
    }

    #[tokio::test]
    async fn a_live_switch_is_left_running_and_a_recycled_pid_is_not_one() {
        let dir = tempfile::tempdir().unwrap();
        let me = ProcessId::of(std::process::id()).unwrap();
        let write = |process| {
            let record = Record { process, networks: vec!["lan".into(), "dmz".into()] };
            std::fs::write(record_path(dir.path()), serde_json::to_vec(&record).unwrap()).unwrap();
        };
        write(me);
        assert_eq!(spawn_as(&[OsStr::new("/nonexistent")], dir.path(), &["lan".into()]).await.unwrap(), me);
        write(ProcessId { start: me.start + 1, ..me });
        assert_eq!(find(dir.path()), None);
        std::fs::write(dir.path().join("n1.qmp"), "").unwrap();
        stop(dir.path()).await.unwrap();
        stop(dir.path()).await.unwrap();
        let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left, ["n1.qmp"], "others' sockets stay");
    }

    #[tokio::test]
    async fn one_whose_record_is_lost_is_found_by_its_arguments() {
        let dir = tempfile::tempdir().unwrap();
        // A shell under the verb's arguments that waits for a writer who never comes.
        let fifo = dir.path().join("fifo");
        let kind = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, kind, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR, 0).unwrap();
        let shell = dir.path().join("switch");
        std::fs::write(&shell, format!(": < {}\n", fifo.display())).unwrap();
        let mut child = Command::new("sh")
            .arg(VERB)
            .arg("--run")
            .arg(dir.path())
            .args(["--", "lan", "dmz"])
            .current_dir(dir.path())
            .spawn()
            .unwrap();
        let found = live(dir.path()).unwrap();
        assert_eq!((Some(found.process.pid), found.networks.len()), (child.id(), 2));
        assert_eq!(find(&dir.path().join("other")), None);
        child.kill().await.unwrap();
        assert_eq!(find(dir.path()), None);
    }

    #[test]
    fn there_is_one_per_lab() {
        let dir = tempfile::tempdir().unwrap();
        let held = lock(dir.path()).unwrap();
        assert!(lock(dir.path()).unwrap_err().why.contains("already"));
        drop(held);
        lock(dir.path()).unwrap();
    }
}
