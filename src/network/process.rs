//! The switch as a background process of a lab: started once, found again, stopped.

use super::{serve, socket};
use crate::error::{Context, Error, Result};
use crate::event::Reporter;
use crate::state::background::Background;
use crate::state::process::ProcessId;
use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::Path;

/// The hidden verb of our own executable that runs the switch: `switch --run DIR NETWORK...`.
pub const VERB: &str = "switch";

fn background(run: &Path) -> Background {
    Background::new(run, "switch", "the network switch", VERB)
}

/// Starts the lab's switch and returns when its sockets take connections. One that already serves these networks is
/// left running; one that serves others is replaced (the nodes' devices connect again by themselves). It outlives us.
pub async fn spawn(run: &Path, networks: &[String]) -> Result<ProcessId> {
    let exe = std::env::current_exe().context(|| "find our own executable")?;
    spawn_as(&[exe.as_os_str()], run, networks).await
}

/// [`spawn`] with another command that knows the hidden verb.
pub async fn spawn_as(command: &[&OsStr], run: &Path, networks: &[String]) -> Result<ProcessId> {
    match background(run).find() {
        Some(running) if networks.iter().all(|n| running.serves.contains(n)) => return Ok(running.process),
        Some(_) => stop(run).await?,
        None => {}
    }
    background(run).spawn(command, networks).await
}

/// The lab's switch, if it runs.
pub fn find(run: &Path) -> Option<ProcessId> {
    background(run).find().map(|running| running.process)
}

/// Ends the lab's switch and removes what it left: sockets, record, log. Nothing to end is fine.
pub async fn stop(run: &Path) -> Result<()> {
    background(run).stop().await?;
    let what = || format!("remove the network switch's sockets in {}", run.display());
    let entries = match std::fs::read_dir(run) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
        other => other.context(what)?,
    };
    for entry in entries {
        let entry = entry.context(what)?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("net-") && name.ends_with(".sock") {
            match std::fs::remove_file(entry.path()) {
                Err(e) if e.kind() != ErrorKind::NotFound => return Err(Error::failed(what(), e)),
                _ => {}
            }
        }
    }
    Ok(())
}

/// The background process itself: what the hidden verb runs.
pub async fn run(run: &Path, networks: &[String], reporter: &Reporter) -> Result<()> {
    let background = background(run);
    let _held = background.begin(networks)?;
    let sockets = networks.iter().map(|n| socket(run, n)).collect();
    serve::serve(sockets, || background.ready(), reporter).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_live_switch_is_left_running_and_a_stop_removes_only_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let held = background(dir.path()).begin(&["lan".into(), "dmz".into()]).unwrap();
        let me = ProcessId::of(std::process::id()).unwrap();
        assert_eq!(spawn_as(&[OsStr::new("/nonexistent")], dir.path(), &["lan".into()]).await.unwrap(), me);
        drop(held);
        assert_eq!(find(dir.path()), None);
        for name in ["n1.qmp", "net-lan.sock"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        stop(dir.path()).await.unwrap();
        stop(dir.path()).await.unwrap();
        let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left, ["n1.qmp"], "others' sockets stay");
    }
}
