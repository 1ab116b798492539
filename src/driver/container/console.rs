//! The console of a node: a terminal whose other end a process copies into the console log. systemd writes only to a
//! terminal, and a terminal that nobody reads stops its writers.

use super::process;
use crate::driver::{Place, console_log};
use crate::error::{Context, Result};
use crate::state::process::{ProcessId, detached};
use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::Stdio;

/// The node's end of its console.
pub struct Console {
    /// The terminal's device on the host.
    pub device: PathBuf,
    /// The same, open.
    pub end: OwnedFd,
}

/// Opens a new console and starts what copies it into a new log.
pub fn open(place: &Place) -> Result<Console> {
    let what = || "open the node's console";
    let reader = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).context(what)?;
    grantpt(&reader).context(what)?;
    unlockpt(&reader).context(what)?;
    let device = PathBuf::from(OsStr::from_bytes(ptsname(&reader, Vec::new()).context(what)?.to_bytes()));
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let end = rustix::fs::open(&device, flags, Mode::empty()).context(what)?;
    let log = console_log(place);
    File::create(&log).context(what)?;
    detached("tee")
        .args(["-a", "--"])
        .arg(&log)
        .stdin(reader)
        .stdout(Stdio::null())
        // While somebody has the node's end open the copy goes on, also when systemd closes it for a moment.
        .stderr(end.try_clone().context(what)?)
        .spawn()
        .context(what)?;
    Ok(Console { device, end })
}

/// The processes that copy the node's console: one, or none.
pub fn find(place: &Place) -> Vec<ProcessId> {
    process::find_exact("tee", console_log(place).as_os_str())
}

/// The last lines of the console for a message.
pub fn last_lines(place: &Place, count: usize) -> String {
    crate::state::tail::last_lines(&console_log(place), count).replace('\r', "")
}
