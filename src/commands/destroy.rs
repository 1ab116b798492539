//! `lab destroy`: from what exists, not from the lab file; past errors; twice.

use super::drivers::remove;
use super::{kubeconfig, which};
use crate::cli;
use crate::driver::{Place, container};
use crate::error::{Context, Error, Kind, Result};
use crate::event::Reporter;
use crate::network;
use crate::paths::Paths;
use crate::state::ledger::{self, Thing};
use crate::state::lock;
use crate::state::record::{LabRecord, existing, node_folders, place, with_notes_only};
use std::collections::BTreeSet;
use std::io::{BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Removes the lab that is meant, or all.
pub async fn destroy(args: cli::Destroy, paths: &Paths, reporter: &Reporter) -> Result<String> {
    if !args.all {
        let name = which::name(args.which.lab.as_deref(), paths)?;
        return one(name, args.force, args.keep_notes, paths, reporter).await;
    }
    let mut names = existing(paths);
    if !args.keep_notes {
        names.extend(with_notes_only(paths));
    }
    if names.is_empty() {
        return Ok("no lab exists: nothing to destroy\n".to_owned());
    }
    if !args.force {
        confirm(&names.join(", "), "--all")?;
    }
    let (mut said, mut problems) = (String::new(), Vec::new());
    for name in names {
        match one(name, true, args.keep_notes, paths, reporter).await {
            Ok(text) => said += &text,
            Err(error) => problems.push(error),
        }
    }
    match problems.into_iter().next() {
        None => Ok(said),
        Some(first) => {
            reporter.note(said.trim_end());
            Err(first)
        }
    }
}

async fn one(name: String, force: bool, keep_notes: bool, paths: &Paths, reporter: &Reporter) -> Result<String> {
    let begun = Instant::now();
    if let Some(why) = crate::lab::name_problem(&name) {
        return Err(Error::input(format!("destroy {name}"), why));
    }
    let dir = paths.lab(&name);
    if !dir.exists() && !paths.lab_run(&name).exists() {
        return Ok(format!("{name}: nothing to destroy\n"));
    }
    if !force {
        confirm(&name, &name)?;
    }
    let lock = lock::acquire(&dir.join("lock"), &name)?;
    let lab = Remains::of(&name, paths, reporter);
    let removed = lab.remove(paths).await?;
    let freed = lab.folders(&dir, keep_notes)?;
    drop(lock);
    // Empty folders above are left by nobody else; one in use stays.
    let _ = std::fs::remove_dir(&paths.run);
    let millis = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    let nodes: Vec<&str> = lab.nodes.iter().map(|(_, place)| place.node.as_str()).collect();
    let nodes = if nodes.is_empty() { "it had no nodes".to_owned() } else { nodes.join(", ") };
    Ok(format!("{name}: destroyed ({nodes}), in {}\n{removed}{freed}", crate::ui::duration(millis)))
}

/// Ends and removes what a lab has outside its own folder, which is gone.
pub async fn rest(name: &str, paths: &Paths, reporter: &Reporter) -> Result<()> {
    Remains::of(name, paths, reporter).remove(paths).await.map(drop)
}

/// What there is of a lab.
struct Remains {
    name: String,
    /// Each node with the driver that made it; None where nobody knows it any more.
    nodes: Vec<(Option<String>, Place)>,
    /// Folders for sockets.
    runs: BTreeSet<PathBuf>,
}

impl Remains {
    /// By all that tells: the ledger, the record, the nodes' folders and their sockets.
    fn of(name: &str, paths: &Paths, reporter: &Reporter) -> Self {
        let record = LabRecord::load(paths, name).unwrap_or_else(|error| {
            reporter.note(format!("{error}\n  what it has is found without it"));
            None
        });
        let driver = record.as_ref().map(|r| r.driver.clone());
        let run = paths.lab_run(name);
        let mut lab = Self { name: name.to_owned(), nodes: Vec::new(), runs: BTreeSet::from([run.clone()]) };
        for thing in ledger::read(&paths.lab(name)) {
            match thing {
                Thing::Node { driver, place } => lab.nodes.push((Some(driver), place)),
                Thing::Sockets(run) => drop(lab.runs.insert(run)),
            }
        }
        let mut names: BTreeSet<String> = node_folders(paths, name).into_iter().chain(with_sockets(&run)).collect();
        names.extend(record.iter().flat_map(|r| r.lab.nodes.iter().map(|n| n.name.clone())));
        for node in names.iter().filter(|node| crate::lab::name_problem(node).is_none()) {
            let place = place(paths, name, node);
            if !lab.nodes.iter().any(|(_, known)| *known == place) {
                lab.nodes.push((driver.clone(), place));
            }
        }
        lab
    }

    /// Ends and removes nodes, keeper and switch, past errors.
    async fn remove(&self, paths: &Paths) -> Result<String> {
        let mut problems = Vec::new();
        // First what starts nodes again.
        for run in &self.runs {
            problems.extend(container::keeper(run).stop().await.err());
        }
        for (driver, place) in &self.nodes {
            // Every driver finds by itself what it has made at a place, and leaves alone what it has not.
            let drivers = driver.as_deref().map_or_else(|| vec!["container", "fake", "qemu"], |one| vec![one]);
            for driver in drivers {
                problems.extend(remove(driver, place).await.err());
            }
        }
        let mut removed = String::new();
        for run in &self.runs {
            if let Some(process) = network::process::find(run) {
                removed += &format!("  the network switch (process {})\n", process.pid);
            }
            problems.extend(network::process::stop(run).await.err());
        }
        problems.extend(kubeconfig::forget(&self.name, paths).err());
        let hint = format!("the rest was removed; `lab destroy {}` tries again", self.name);
        let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
        match problems.into_iter().next() {
            None => Ok(removed),
            Some(first) if texts.len() == 1 => Err(first.hint(hint)),
            Some(_) => Err(Error::failed(format!("destroy {}", self.name), texts.join("\n")).hint(hint)),
        }
    }

    /// Removes the lab's folders, or all but its observations; says what was in them. The lab's own folder goes last: with
    /// it goes the ledger.
    fn folders(&self, dir: &Path, keep_notes: bool) -> Result<String> {
        let notes = dir.join("observations");
        let mut gone: Vec<PathBuf> = self.runs.iter().cloned().collect();
        if keep_notes && notes.exists() {
            let all = std::fs::read_dir(dir).context(|| format!("read {}", dir.display()))?;
            gone.extend(all.flatten().map(|e| e.path()).filter(|path| *path != notes));
        } else {
            gone.push(dir.to_owned());
        }
        let mut said = String::new();
        for path in gone {
            let folder = path.is_dir();
            let (files, bytes) = content(&path);
            match if folder { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) } {
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
                done => {
                    done.context(|| format!("remove {}", path.display()))?;
                    said += &format!("  {} ({files} files, {} MiB)\n", path.display(), bytes >> 20);
                }
            }
        }
        Ok(said)
    }
}

/// The nodes that have left a socket in the lab's folder for them: `NODE.WHAT`.
fn with_sockets(run: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(run).into_iter().flatten().flatten();
    let names = entries.filter_map(|e| e.file_name().into_string().ok());
    let of_node = |name: String| {
        let (node, what) = name.rsplit_once('.')?;
        ["qmp", "nat", "notify"].contains(&what).then(|| node.to_owned())
    };
    names.filter_map(of_node).collect()
}

/// How many files a folder has and how much they take on the disk.
fn content(dir: &Path) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt;
    let (mut files, mut bytes) = (0, 0);
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let Ok(of) = entry.metadata() else { continue };
        let below = if of.is_dir() { content(&entry.path()) } else { (1, of.blocks() * 512) };
        files += below.0;
        bytes += below.1;
    }
    (files, bytes)
}

fn confirm(name: &str, argument: &str) -> Result<()> {
    if !std::io::stdin().is_terminal() {
        let why = "it asks before it destroys, and there is no terminal to ask on";
        return Err(Error::input(format!("destroy {name}"), why).hint(format!("lab destroy {argument} -f")));
    }
    eprint!("Destroy the lab {name} with all its nodes? [y/N] ");
    std::io::stderr().flush().context(|| "ask".to_owned())?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).context(|| "read the answer".to_owned())?;
    if matches!(answer.trim(), "y" | "Y" | "yes") {
        return Ok(());
    }
    Err(Error::new(Kind::Interrupted, format!("destroy {name}"), "you said no"))
}
