//! What labs that are gone have left: a folder that somebody deleted by hand, a build that was cut. Only what belongs to
//! these folders is looked at, and control groups; and only what nobody uses counts.

use super::destroy;
use crate::bundle::lock;
use crate::driver::{PROGRAMS, Place, container};
use crate::event::Reporter;
use crate::lab::name_problem;
use crate::network;
use crate::paths::Paths;
use crate::state::ledger::{self, Thing};
use crate::state::owner;
use crate::state::process::ProcessId;
use crate::state::record::{LabRecord, existing, node_folders, place};
use rustix::process::Signal;
use std::collections::BTreeSet;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Something that is left, and how it goes.
pub enum Leftover {
    Process {
        process: ProcessId,
        says: String,
    },
    Folder {
        path: PathBuf,
        says: String,
    },
    /// A lab whose record is damaged.
    Lab {
        name: String,
        says: String,
    },
    /// A lab whose folder is gone, with the folder for its sockets.
    Gone {
        lab: PathBuf,
        run: PathBuf,
        says: String,
    },
    /// Control groups of a node that nobody has.
    Group {
        group: container::Group,
        says: String,
    },
}

impl Leftover {
    /// What it is.
    pub fn says(&self) -> &str {
        match self {
            Self::Process { says, .. }
            | Self::Folder { says, .. }
            | Self::Lab { says, .. }
            | Self::Gone { says, .. }
            | Self::Group { says, .. } => says,
        }
    }

    /// The command that removes it.
    pub fn mend(&self) -> String {
        match self {
            Self::Process { process, .. } => format!("kill {}", process.pid),
            Self::Folder { path, .. } => format!("rm -r {}", path.display()),
            Self::Lab { name, .. } => format!("lab destroy {name} -f"),
            Self::Gone { .. } => "lab doctor --fix".to_owned(),
            Self::Group { .. } if rustix::process::geteuid().is_root() => "lab doctor --fix".to_owned(),
            Self::Group { .. } => "sudo -E lab doctor --fix".to_owned(),
        }
    }

    /// Removes it, where that needs nobody's consent; whether it is gone.
    pub async fn remove(&self, paths: &Paths) -> bool {
        match self {
            Self::Process { process, .. } => {
                process.signal(Signal::TERM);
                process.gone(Duration::from_secs(5)).await || {
                    process.signal(Signal::KILL);
                    process.gone(Duration::from_secs(5)).await
                }
            }
            Self::Folder { path, .. } => std::fs::remove_dir_all(path).is_ok(),
            Self::Lab { .. } => false,
            Self::Gone { lab, run, .. } => {
                let Some((state, name)) = parts(lab) else { return false };
                let there = Paths { state: state.to_owned(), ..paths.clone() };
                let rest = destroy::rest(name, &there, &Reporter::silent()).await;
                rest.is_ok() && std::fs::remove_dir_all(run).is_ok()
            }
            Self::Group { group, .. } => group.remove().await.is_ok(),
        }
    }
}

/// The state folder and the name of the lab in this folder.
fn parts(lab: &Path) -> Option<(&Path, &str)> {
    let name = lab.file_name()?.to_str().filter(|name| name_problem(name).is_none())?;
    Some((lab.parent()?, name))
}

/// All that is left.
pub async fn find(paths: &Paths) -> Vec<Leftover> {
    let labs: BTreeSet<String> = existing(paths).into_iter().collect();
    let mut all = processes(paths, &labs);
    all.extend(socket_folders(paths, &labs));
    all.extend(groups(paths, &labs).await);
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

/// Processes that work for a lab that is gone.
fn processes(paths: &Paths, labs: &BTreeSet<String>) -> Vec<Leftover> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|e| e.file_name().to_str()?.parse::<u32>().ok());
    pids.filter_map(|pid| {
        let process = ProcessId::of(pid).filter(|_| pid != std::process::id())?;
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let line = String::from_utf8_lossy(&line).into_owned();
        let arguments: Vec<&str> = line.trim_end_matches('\0').split('\0').collect();
        let program = arguments.first()?.rsplit('/').next()?;
        let of = of_a_lab_that_is_gone(program, &arguments, paths, labs)?;
        let says = format!("{program} (process {pid}) of {of}");
        process.alive().then_some(Leftover::Process { process, says })
    })
    .collect()
}

/// Whose such a process is: it names a file in its lab's folder, or a folder for sockets that does not exist.
fn of_a_lab_that_is_gone(program: &str, arguments: &[&str], paths: &Paths, labs: &BTreeSet<String>) -> Option<String> {
    let made = PROGRAMS.iter().any(|start| program.starts_with(start));
    let ours = format!("{}/", paths.state.display());
    // "/state/LAB/nodes/NODE/..." in an argument of a program that drivers start.
    let below = arguments.iter().filter(|_| made).find_map(|a| a.split(&ours).nth(1).filter(|b| b.contains("/nodes/")));
    if let Some(lab) = below.and_then(|below| below.split('/').next()) {
        return (!labs.contains(lab)).then(|| format!("the lab {lab}, which is gone"));
    }
    let run = match arguments {
        // Our own background processes.
        [_, verb, "--run", run, "--", ..] if ["keep", network::process::VERB].contains(verb) => Path::new(run),
        _ => Path::new(arguments.iter().filter(|_| made).find_map(|a| a.strip_prefix("--api-socket="))?).parent()?,
    };
    let gone = run.parent() == Some(&paths.run) && !run.exists();
    gone.then(|| "a lab that is gone".to_owned())
}

/// Folders for sockets that belong to no lab: whose lab's folder is gone, or of which nobody knows whose they are and on
/// whose sockets nobody listens.
fn socket_folders(paths: &Paths, labs: &BTreeSet<String>) -> Vec<Leftover> {
    let known: BTreeSet<PathBuf> = labs.iter().map(|lab| paths.lab_run(lab)).collect();
    let entries = std::fs::read_dir(&paths.run).into_iter().flatten().flatten().map(|e| e.path());
    let others = entries.filter(|path| path.is_dir() && !known.contains(path));
    others
        .filter_map(|run| match owner::read(&run) {
            Some(lab) if is_of(&run, &lab, paths) => (!lab.exists()).then(|| {
                let says = format!("what the lab in {} has left, which is gone: {}", lab.display(), run.display());
                Leftover::Gone { lab, run, says }
            }),
            _ => (!in_use(&run)).then(|| {
                let says = format!("sockets that nobody listens on: {}", run.display());
                Leftover::Folder { path: run, says }
            }),
        })
        .collect()
}

/// Whether the folder for sockets is this lab's, as its name says.
fn is_of(run: &Path, lab: &Path, paths: &Paths) -> bool {
    parts(lab).is_some_and(|(state, name)| Paths { state: state.to_owned(), ..paths.clone() }.lab_run(name) == run)
}

fn in_use(run: &Path) -> bool {
    let sockets = std::fs::read_dir(run).into_iter().flatten().flatten();
    let served = network::process::find(run).is_some() || container::keeper(run).find().is_some();
    served || sockets.into_iter().any(|e| UnixStream::connect(e.path()).is_ok())
}

/// Control groups of nodes that no lab here has, and that nothing shows to be somebody else's.
async fn groups(paths: &Paths, labs: &BTreeSet<String>) -> Vec<Leftover> {
    let living: Vec<Place> = labs.iter().flat_map(|lab| places(paths, lab)).collect();
    let found = container::leftovers(&living).await;
    let says = |group: &container::Group| match &group.dir {
        None => format!("control groups without a node: {}", group.id),
        Some(dir) => {
            let count = group.processes.len();
            format!("a node whose folder is gone, with {count} processes: {} ({})", dir.display(), group.id)
        }
    };
    found.into_iter().map(|group| Leftover::Group { says: says(&group), group }).collect()
}

/// Where a lab's nodes are or may be, by all that tells.
fn places(paths: &Paths, lab: &str) -> Vec<Place> {
    let mut names: BTreeSet<String> = node_folders(paths, lab).into_iter().collect();
    let record = LabRecord::load(paths, lab).ok().flatten();
    names.extend(record.into_iter().flat_map(|record| record.lab.nodes.into_iter().map(|node| node.name)));
    let noted = ledger::read(&paths.lab(lab)).into_iter().filter_map(|thing| match thing {
        Thing::Node { place, .. } => Some(place),
        Thing::Sockets(_) => None,
    });
    noted.chain(names.iter().map(|node| place(paths, lab, node))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home() -> (tempfile::TempDir, Paths) {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let paths = Paths { cache: at("cache"), state: at("state"), run: at("run") };
        (dir, paths)
    }

    /// What is left, but for control groups, which are the host's: another's tests may have some.
    async fn left(paths: &Paths) -> Vec<Leftover> {
        find(paths).await.into_iter().filter(|left| !matches!(left, Leftover::Group { .. })).collect()
    }

    #[tokio::test]
    async fn dead_sockets_go_and_those_in_use_stay() {
        let (dir, paths) = home();
        let at = |name: &str| dir.path().join(name);
        let (dead, live) = (at("run/dead"), at("run/live"));
        for folder in [&dead, &live, &paths.lab_run("x"), &at("state/x"), &at("cache/images/.building-1")] {
            std::fs::create_dir_all(folder).unwrap();
        }
        drop(std::os::unix::net::UnixListener::bind(dead.join("n.qmp")).unwrap());
        let _held = std::os::unix::net::UnixListener::bind(live.join("n.qmp")).unwrap();
        let found = left(&paths).await;
        let mends: Vec<String> = found.iter().map(Leftover::mend).collect();
        let expected =
            [format!("rm -r {}", dead.display()), format!("rm -r {}", at("cache/images/.building-1").display())];
        assert_eq!(mends, expected);
        for left in &found {
            assert!(left.remove(&paths).await);
        }
        assert!(left(&paths).await.is_empty() && live.exists());
    }

    #[tokio::test]
    async fn what_a_lab_has_whose_folder_was_deleted_goes_and_anothers_halted_lab_stays() {
        let (dir, paths) = home();
        let other = Paths { state: dir.path().join("other"), ..paths.clone() };
        std::fs::create_dir_all(other.lab("x")).unwrap();
        owner::make(&other, "x").unwrap();
        owner::make(&paths, "gone").unwrap();
        // A word that leads elsewhere is not believed.
        let lies = paths.run.join("01234567");
        std::fs::create_dir_all(&lies).unwrap();
        std::fs::write(lies.join("lab"), "/etc/shadow").unwrap();
        let found = left(&paths).await;
        let says: Vec<&str> = found.iter().map(Leftover::says).collect();
        assert_eq!(says.len(), 2, "{says:?}");
        assert!(says.iter().any(|s| s.contains("state/gone") && s.contains("which is gone")), "{says:?}");
        assert!(says.iter().any(|s| s.contains("nobody listens on") && s.contains("01234567")), "{says:?}");
        for left in &found {
            assert!(left.remove(&paths).await);
        }
        assert!(left(&paths).await.is_empty() && other.lab_run("x").exists() && !paths.state.exists());
    }

    #[test]
    fn processes_whose_folders_are_gone_are_known_by_their_arguments() {
        let (_dir, paths) = home();
        std::fs::create_dir_all(paths.run.join("living")).unwrap();
        let labs = BTreeSet::from(["x".to_owned()]);
        let of = |arguments: &[&str]| of_a_lab_that_is_gone(arguments[0], arguments, &paths, &labs);
        let run = |name: &str| paths.run.join(name).display().to_string();
        let disk = |lab: &str| format!("file={}/{lab}/nodes/n/disk.qcow2", paths.state.display());
        assert!(of(&["qemu-system-x86_64", &disk("y")]).unwrap().contains("the lab y"));
        assert_eq!(of(&["qemu-system-x86_64", &disk("x")]), None);
        assert_eq!(of(&["cat", &disk("y")]), None);
        for (name, gone) in [("dead", true), ("living", false)] {
            let socket = format!("--api-socket={}/n.nat", run(name));
            assert_eq!(of(&["slirp4netns", "--ready-fd=3", &socket, "7", "eth0"]).is_some(), gone);
            assert_eq!(of(&["lab", "keep", "--run", &run(name), "--", "y"]).is_some(), gone);
            assert_eq!(of(&["lab", "switch", "--run", &run(name), "--", "lan"]).is_some(), gone);
        }
        assert_eq!(of(&["lab", "keep", "--run", "/somewhere/else", "--", "y"]), None);
    }
}
