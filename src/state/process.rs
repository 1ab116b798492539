//! Processes by identity: a pid alone may be somebody else's by now, a pid with its start time is not.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};
use std::ffi::OsStr;
use std::time::Duration;

/// Closes the descriptors that a caller of ours may have left open for us, as flock(1) does, and becomes the program.
/// Shells know only these by number.
const CLOSE: &str = "exec \"$@\" 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-";

/// A command for a process that outlives us: Ctrl-C in our terminal is not meant for it, it keeps no folder busy, and
/// nobody waits in vain for the end of what it has inherited: a lock, a pipe.
pub fn detached(program: impl AsRef<OsStr>) -> tokio::process::Command {
    let mut command = tokio::process::Command::new("/bin/sh");
    command.args(["-c", CLOSE, "sh"]).arg(program).current_dir("/").process_group(0);
    command
}

/// A process that we started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessId {
    pub pid: u32,
    /// Clock ticks after the host's boot (field 22 of /proc/PID/stat, proc(5)).
    pub start: u64,
}

impl ProcessId {
    /// The identity of a running process; None when it is gone or a zombie.
    pub fn of(pid: u32) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (state, start) = parse_stat(&stat)?;
        (!matches!(state, 'Z' | 'X')).then_some(Self { pid, start })
    }

    /// Whether this very process still runs.
    pub fn alive(self) -> bool {
        Self::of(self.pid) == Some(self)
    }

    /// Sends a signal to this very process; whether it was there to get it. The descriptor pins the process, so that
    /// the check and the signal speak of the same one.
    pub fn signal(self, signal: Signal) -> bool {
        let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) else { return false };
        let Ok(fd) = pidfd_open(pid, PidfdFlags::empty()) else { return false };
        self.alive() && pidfd_send_signal(&fd, signal).is_ok()
    }

    /// Waits until the process is gone; false when it still runs after `limit`. Blocks one thread of the pool: tokio
    /// offers no safe way to wait for a descriptor of somebody else's process.
    pub async fn gone(self, limit: Duration) -> bool {
        tokio::task::spawn_blocking(move || self.wait(limit)).await.unwrap_or(false)
    }

    /// [`ProcessId::gone`] for code that is not async.
    pub fn wait(self, limit: Duration) -> bool {
        let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) else { return true };
        let Ok(fd) = pidfd_open(pid, PidfdFlags::empty()) else { return true };
        if !self.alive() {
            return true;
        }
        // A pidfd becomes readable when its process ends.
        let timeout = Timespec::try_from(limit).ok();
        let mut fds = [PollFd::new(&fd, PollFlags::IN)];
        matches!(poll(&mut fds, timeout.as_ref()), Ok(ready) if ready > 0) || !self.alive()
    }
}

/// State letter and start time of a /proc/PID/stat line. The name in parentheses may hold anything, so the last `)`
/// counts.
fn parse_stat(stat: &str) -> Option<(char, u64)> {
    let rest = stat.get(stat.rfind(')')? + 1..)?;
    let mut fields = rest.split_whitespace();
    let state = fields.next()?.chars().next()?;
    Some((state, fields.nth(18)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_stat_line_with_an_odd_name() {
        let line = "42 (a) b) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 777 20";
        assert_eq!(parse_stat(line), Some(('S', 777)));
        assert_eq!(parse_stat("42 (x"), None);
    }

    #[tokio::test]
    async fn ends_the_process_it_means_and_no_other() {
        let mut child = tokio::process::Command::new("sleep").arg("60").spawn().unwrap();
        let id = ProcessId::of(child.id().unwrap()).unwrap();
        let recycled = ProcessId { start: id.start + 1, ..id };
        assert!(id.alive() && !recycled.alive());
        assert!(!recycled.signal(Signal::KILL));
        assert!(!id.gone(Duration::from_millis(50)).await);
        assert!(id.signal(Signal::KILL));
        child.wait().await.unwrap();
        assert!(id.gone(Duration::from_secs(10)).await);
        assert!(!id.alive());
    }
}
