//! A node's helpers as processes of the host: each carries an argument that no other process has, so that it is found
//! again whatever became of the `lab` that started it. No record can be lost or lie.

use crate::driver::Place;
use crate::error::{Context, Error, Result};
use crate::state::process::ProcessId;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open};
use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// How long a killed process may take to go.
pub const KILL: Duration = Duration::from_secs(20);

/// How a node's name in the host's kernel begins, and how many digits follow.
const PREFIX: &str = "lab-";
const DIGITS: usize = 10;

/// The name of a node in the runtime, the cgroups and the lab's network: short, and no two nodes of a host share it.
pub fn id(place: &Place) -> String {
    id_of(&place.dir)
}

/// The same, by the node's folder.
pub fn id_of(dir: &Path) -> String {
    format!("{PREFIX}{}", &blake3::hash(dir.as_os_str().as_encoded_bytes()).to_hex()[..DIGITS])
}

/// Whether a name is one that nodes have.
pub fn is_id(name: &str) -> bool {
    let digits = name.strip_prefix(PREFIX).unwrap_or_default();
    digits.len() == DIGITS && digits.bytes().all(|b| b.is_ascii_hexdigit())
}

/// All processes of this program, or of the shell that is about to become it, that have an argument which satisfies the
/// test.
pub fn find(program: &str, test: impl Fn(&[u8]) -> bool) -> Vec<ProcessId> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter_map(|pid| {
        // The identity first: should the pid change hands in between, it belongs to nobody.
        let process = ProcessId::of(pid)?;
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let mut arguments = line.split(|b| *b == 0);
        let name = arguments.next()?.rsplit(|b| *b == b'/').next()?;
        let becomes_it = name == b"sh" && arguments.clone().any(|a| a == program.as_bytes());
        let it_is = becomes_it || name == program.as_bytes();
        (it_is && arguments.any(&test) && process.alive()).then_some(process)
    })
    .collect()
}

/// The same, for one exact argument.
pub fn find_exact(program: &str, argument: &OsStr) -> Vec<ProcessId> {
    find(program, |a| a == argument.as_bytes())
}

/// Waits until this lock is ours; it is let go with the file.
pub async fn turn(path: PathBuf) -> Result<File> {
    let what = || "wait for another `lab` that starts the node";
    let lock = tokio::task::spawn_blocking(move || {
        let file = File::create(path)?;
        file.lock().map(|()| file)
    });
    lock.await.context(what)?.context(what)
}

/// Kills these processes and waits until they are gone.
pub async fn kill(processes: &[ProcessId]) -> Result<()> {
    for process in processes {
        process.signal(Signal::KILL);
    }
    for process in processes {
        if !process.gone(KILL).await {
            return Err(Error::failed("end a process", format!("{} stays after SIGKILL", process.pid)));
        }
    }
    Ok(())
}

/// Waits until a process ends, without a limit. May be dropped at any time.
pub async fn ended(process: ProcessId) {
    let pid = i32::try_from(process.pid).ok().and_then(Pid::from_raw);
    let fd = pid.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
    let Some(fd) = fd.filter(|_| process.alive()) else { return };
    // A pidfd becomes readable when its process ends.
    readable(fd).await;
}

/// Waits until there is something to read. May be dropped at any time: the thread that waits ends with the pipe, so that
/// a `lab` that has nothing more to do is not held up.
pub async fn readable(fd: OwnedFd) {
    let Ok((dropped, _held)) = std::io::pipe() else { return std::future::pending().await };
    let waited = tokio::task::spawn_blocking(move || {
        let mut fds = [PollFd::new(&fd, PollFlags::IN), PollFd::new(&dropped, PollFlags::IN)];
        while poll(&mut fds, None) == Err(Errno::INTR) {}
    });
    // A wait that could not be made is one that the runtime's end has cut.
    let _ = waited.await;
}

/// Runs a short command with this input to its end; its words are the reason when it fails.
pub async fn run(command: &mut Command, input: &str) -> Result<()> {
    let name = command.as_std().get_program().to_string_lossy().into_owned();
    let what = || format!("run {name}");
    let stdin = if input.is_empty() { Stdio::null() } else { Stdio::piped() };
    command.stdin(stdin).stdout(Stdio::null()).stderr(Stdio::piped()).current_dir("/").kill_on_drop(true);
    let mut child = command.spawn().context(what)?;
    if let Some(mut stdin) = child.stdin.take() {
        // A command that ends before it has read all of it says why by itself.
        let _ = stdin.write_all(input.as_bytes()).await;
    }
    let output = child.wait_with_output().await.context(what)?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.trim();
    Err(Error::failed(what(), if said.is_empty() { output.status.to_string() } else { said.to_owned() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_process_is_found_by_program_and_argument_and_killed() {
        let mark = format!("{}.125", 5000 + std::process::id());
        let mut child = Command::new("sleep").arg(&mark).spawn().unwrap();
        assert_eq!(find_exact("tee", mark.as_ref()), []);
        let found = find_exact("sleep", mark.as_ref());
        assert_eq!(found.iter().map(|p| p.pid).collect::<Vec<_>>(), [child.id().unwrap()]);
        assert!(tokio::time::timeout(Duration::from_millis(50), ended(found[0])).await.is_err());
        kill(&found).await.unwrap();
        ended(found[0]).await;
        child.wait().await.unwrap();
        assert_eq!(find_exact("sleep", mark.as_ref()), []);
    }

    #[tokio::test]
    async fn a_command_that_fails_says_why() {
        run(Command::new("sh").args(["-c", "read x && [ $x = y ]"]), "y\n").await.unwrap();
        let e = run(Command::new("sh").args(["-c", "echo no >&2; exit 3"]), "").await.unwrap_err();
        assert_eq!((e.what.as_str(), e.why.as_str()), ("run sh", "no"));
        assert!(run(&mut Command::new("false"), "").await.unwrap_err().why.contains("exit status: 1"));
    }
}
