//! A node's QEMU as a process of the host: started so that it outlives us, found again whatever happened in between.

use super::args;
use super::host::Program;
use crate::driver::Place;
use crate::error::{Context, Error, Result};
use crate::state::process::{ProcessId, detached};
use crate::state::write::atomically;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

/// QEMU's own messages.
pub fn log(place: &Place) -> PathBuf {
    place.dir.join("qemu.log")
}

/// The socket of QEMU's machine protocol.
pub fn qmp_socket(place: &Place) -> PathBuf {
    place.socket("qmp")
}

fn record(place: &Place) -> PathBuf {
    place.dir.join("process.json")
}

/// Starts QEMU, which gets the socket of its machine protocol as an open listener in place of standard input: who
/// connects is answered when QEMU is up and cut off when it dies, so nobody has to look again and again whether the
/// socket is there yet.
pub fn spawn(program: &Program, arguments: &[OsString], place: &Place) -> Result<ProcessId> {
    let what = || "start QEMU";
    let log = File::create(log(place)).context(what)?;
    let errors = log.try_clone().context(what)?;
    let child = detached(&program.system)
        .args(arguments)
        .stdin(listen(&qmp_socket(place))?)
        .stdout(log)
        .stderr(errors)
        .spawn()
        .context(what)?;
    // Nothing is awaited between the spawn and the record, so only a killed `lab` can lose it; `find` copes with that.
    let process = child.id().and_then(ProcessId::of).ok_or_else(|| {
        let said = crate::state::tail::last_lines(&self::log(place), 5);
        Error::failed(what(), format!("it ended at once: {said}"))
    })?;
    let text = serde_json::to_vec(&process).context(what)?;
    if let Err(e) = atomically(&record(place), &text, 0o600) {
        process.signal(rustix::process::Signal::KILL);
        return Err(e);
    }
    Ok(process)
}

fn listen(path: &Path) -> Result<OwnedFd> {
    let what = || format!("open the socket {}", path.display());
    remove(path)?;
    let listener = UnixListener::bind(path).map_err(|e| {
        Error::failed(what(), e).hint("a socket's path has at most 103 bytes: set LAB_RUN_DIR to a short folder")
    })?;
    Ok(listener.into())
}

/// The node's QEMU, if it runs: the recorded process, else one that has the node's mark in its arguments.
pub fn find(place: &Place) -> Option<ProcessId> {
    let recorded = std::fs::read(record(place)).ok().and_then(|text| serde_json::from_slice::<ProcessId>(&text).ok());
    recorded.filter(|process| process.alive()).or_else(|| scan(&args::mark(place)))
}

/// Whether a QEMU of this node was started and not stopped by us.
pub fn was_started(place: &Place) -> bool {
    record(place).exists()
}

/// Looks through the host's processes for one with exactly this argument.
fn scan(mark: &OsStr) -> Option<ProcessId> {
    let processes = std::fs::read_dir("/proc").ok()?;
    let mut pids = processes.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.find_map(|pid| {
        // The identity first: should the pid change hands in between, it belongs to nobody.
        let process = ProcessId::of(pid)?;
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let name = line.split(|b| *b == 0).next()?.rsplit(|b| *b == b'/').next()?;
        // A shell is about to become it.
        let qemu = name.starts_with(b"qemu-system") || name == b"sh";
        let marked = line.split(|b| *b == 0).any(|argument| argument == mark.as_bytes());
        (qemu && marked && process.alive()).then_some(process)
    })
}

/// Removes what only a running QEMU needs.
pub fn forget(place: &Place) -> Result<()> {
    remove(&qmp_socket(place)).and(remove(&record(place)))
}

/// Removes a file that may be gone already.
pub fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(e).context(|| format!("remove {}", path.display())),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::host::Version;
    use super::*;
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    use rustix::process::Signal;
    use std::time::Duration;

    #[tokio::test]
    async fn a_process_is_found_by_its_record_and_without_it_by_its_mark() {
        let dir = tempfile::tempdir().unwrap();
        let place = Place { lab: "l".into(), node: "n".into(), dir: dir.path().into(), run: dir.path().into() };
        // A shell under QEMU's name that waits for a writer who never comes.
        let system = dir.path().join("qemu-system-test");
        std::os::unix::fs::symlink("/bin/sh", &system).unwrap();
        let fifo = dir.path().join("fifo");
        mknodat(CWD, &fifo, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let program = Program { system, img: PathBuf::new(), version: Version(9, 0, 0) };
        let script = OsString::from(format!(": < {}", fifo.display()));
        let mark = args::mark(&place);
        assert_eq!(find(&place), None);
        let process = spawn(&program, &["-c".into(), script, "x".into(), mark.clone()], &place).unwrap();
        assert_eq!(find(&place), Some(process));
        std::fs::remove_file(record(&place)).unwrap();
        assert_eq!(find(&place), Some(process), "a `lab` that was killed before it wrote the record");
        let other = Place { dir: dir.path().join("other"), ..place.clone() };
        assert_eq!(find(&other), None);
        process.signal(Signal::KILL);
        assert!(process.gone(Duration::from_secs(5)).await);
        assert_eq!(find(&place), None);
        forget(&place).unwrap();
        forget(&place).unwrap();
        assert!(!qmp_socket(&place).exists());
    }
}
