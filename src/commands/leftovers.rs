//! What labs that are gone have left: a folder that somebody deleted by hand, a build that was cut. Only what belongs to
//! these folders is looked at, and only what nobody uses counts.

use crate::bundle::lock;
use crate::driver::PROGRAMS;
use crate::lab::name_problem;
use crate::network;
use crate::paths::Paths;
use crate::state::process::ProcessId;
use crate::state::record::{LabRecord, existing};
use rustix::process::Signal;
use std::collections::BTreeSet;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Something that is left, and how it goes.
pub enum Leftover {
    Process { process: ProcessId, says: String },
    Folder { path: PathBuf, says: String },
    Lab { name: String, says: String },
}

impl Leftover {
    /// What it is.
    pub fn says(&self) -> &str {
        match self {
            Self::Process { says, .. } | Self::Folder { says, .. } | Self::Lab { says, .. } => says,
        }
    }

    /// The command that removes it.
    pub fn mend(&self) -> String {
        match self {
            Self::Process { process, .. } => format!("kill {}", process.pid),
            Self::Folder { path, .. } => format!("rm -r {}", path.display()),
            Self::Lab { name, .. } => format!("lab destroy {name} -f"),
        }
    }

    /// Removes it, where that needs nobody's consent; whether it is gone.
    pub fn remove(&self) -> bool {
        match self {
            Self::Process { process, .. } => {
                process.signal(Signal::TERM);
                process.wait(Duration::from_secs(5)) || {
                    process.signal(Signal::KILL);
                    process.wait(Duration::from_secs(5))
                }
            }
            Self::Folder { path, .. } => std::fs::remove_dir_all(path).is_ok(),
            Self::Lab { .. } => false,
        }
    }
}

/// All that is left.
pub fn find(paths: &Paths) -> Vec<Leftover> {
    let labs: BTreeSet<String> = existing(paths).into_iter().collect();
    let mut all = processes(paths, &labs);
    all.extend(socket_folders(paths, &labs));
    for name in labs.iter().filter(|name| name_problem(name).is_none()) {
        if let Err(error) = LabRecord::load(paths, name) {
            all.push(Leftover::Lab { name: name.clone(), says: format!("the lab {name}: {}", error.why) });
        }
    }
    for dir in ["images", "bundle"] {
        let unfinished = lock::unfinished(&paths.cache.join(dir));
        let says = |path: &Path| format!("a build that was cut: {}", path.display());
        all.extend(unfinished.into_iter().map(|path| Leftover::Folder { says: says(&path), path }));
    }
    all
}

/// Processes that work for a lab whose folder is gone: they name a file in it.
fn processes(paths: &Paths, labs: &BTreeSet<String>) -> Vec<Leftover> {
    let ours = format!("{}/", paths.state.display());
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|e| e.file_name().to_str()?.parse::<u32>().ok());
    pids.filter_map(|pid| {
        let process = ProcessId::of(pid).filter(|_| pid != std::process::id())?;
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let arguments = String::from_utf8_lossy(&line).into_owned();
        let program = arguments.split('\0').next()?.rsplit('/').next()?.to_owned();
        let made = PROGRAMS.iter().any(|start| program.starts_with(start));
        // "/state/LAB/nodes/NODE/..." in an argument of a program that drivers start.
        let below = arguments.split(&ours).nth(1).filter(|_| made)?;
        let lab = below.split('/').next().filter(|_| below.contains("/nodes/"))?;
        let says = format!("{program} (process {pid}) of the lab {lab}, which is gone");
        (!labs.contains(lab) && process.alive()).then_some(Leftover::Process { process, says })
    })
    .collect()
}

/// Folders for sockets that belong to no lab here and on whose sockets nobody listens.
fn socket_folders(paths: &Paths, labs: &BTreeSet<String>) -> Vec<Leftover> {
    let known: BTreeSet<PathBuf> = labs.iter().map(|lab| paths.lab_run(lab)).collect();
    let entries = std::fs::read_dir(&paths.run).into_iter().flatten().flatten().map(|e| e.path());
    let dead = entries.filter(|path| path.is_dir() && !known.contains(path) && !in_use(path));
    let says = |path: &Path| format!("sockets that nobody listens on: {}", path.display());
    dead.map(|path| Leftover::Folder { says: says(&path), path }).collect()
}

fn in_use(run: &Path) -> bool {
    let sockets = std::fs::read_dir(run).into_iter().flatten().flatten();
    network::process::find(run).is_some() || sockets.into_iter().any(|e| UnixStream::connect(e.path()).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dead_sockets_go_and_those_in_use_stay() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let paths = Paths { cache: at("cache"), state: at("state"), run: at("run") };
        let (dead, live) = (at("run/dead"), at("run/live"));
        for folder in [&dead, &live, &paths.lab_run("x"), &at("state/x"), &at("cache/images/.building-1")] {
            std::fs::create_dir_all(folder).unwrap();
        }
        drop(std::os::unix::net::UnixListener::bind(dead.join("n.qmp")).unwrap());
        let _held = std::os::unix::net::UnixListener::bind(live.join("n.qmp")).unwrap();
        let found = find(&paths);
        let mends: Vec<String> = found.iter().map(Leftover::mend).collect();
        let expected =
            [format!("rm -r {}", dead.display()), format!("rm -r {}", at("cache/images/.building-1").display())];
        assert_eq!(mends, expected);
        assert!(found.iter().all(Leftover::remove));
        assert!(find(&paths).is_empty() && live.exists());
    }
}
