//! `lab destroy`: from what exists, not from the lab file; past errors; twice.

use super::drivers::remove;
use super::{kubeconfig, which};
use crate::cli;
use crate::error::{Context, Error, Kind, Result};
use crate::event::Reporter;
use crate::network;
use crate::paths::Paths;
use crate::state::lock;
use crate::state::record::{LabRecord, node_folders, place};
use std::io::{BufRead, IsTerminal, Write};
use std::time::Instant;

/// Removes the lab that is meant.
pub async fn destroy(args: cli::Destroy, paths: &Paths, reporter: &Reporter) -> Result<String> {
    let begun = Instant::now();
    let name = which::name(args.which.lab.as_deref(), paths)?;
    if let Some(why) = crate::lab::name_problem(&name) {
        return Err(Error::input(format!("destroy {name}"), why));
    }
    let dir = paths.lab(&name);
    if !dir.exists() {
        return Ok(format!("{name}: nothing to destroy\n"));
    }
    if !args.force {
        confirm(&name)?;
    }
    let lock = lock::acquire(&dir.join("lock"), &name)?;
    // A record that cannot be read leaves the folders, which tell enough.
    let record = LabRecord::load(paths, &name).unwrap_or_else(|error| {
        reporter.note(error.to_string());
        None
    });
    let nodes = node_folders(paths, &name);
    let driver = record.as_ref().map_or("qemu", |r| r.driver.as_str());
    let mut problems = Vec::new();
    for node in &nodes {
        if let Err(error) = remove(driver, &place(paths, &name, node)).await {
            problems.push(error);
        }
    }
    let run = paths.lab_run(&name);
    if let Err(error) = network::process::stop(&run).await {
        problems.push(error);
    }
    if let Err(error) = kubeconfig::forget(&name, paths) {
        problems.push(error);
    }
    if let Some(first) = problems.into_iter().next() {
        return Err(first.hint(format!("the rest was removed; `lab destroy {name}` tries again")));
    }
    remove_folder(&run)?;
    let notes = dir.join("observations");
    if args.keep_notes && notes.exists() {
        let all = std::fs::read_dir(&dir).context(|| format!("read {}", dir.display()))?;
        for path in all.flatten().map(|e| e.path()).filter(|p| *p != notes) {
            if path.is_dir() {
                remove_folder(&path)?
            } else {
                std::fs::remove_file(&path).context(|| format!("remove {}", path.display()))?
            }
        }
    } else {
        remove_folder(&dir)?;
    }
    drop(lock);
    // Empty folders above are left by nobody else; one in use stays.
    let _ = std::fs::remove_dir(&paths.run);
    let millis = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(format!("{name}: destroyed ({}), in {}\n", nodes.join(", "), crate::ui::duration(millis)))
}

fn remove_folder(folder: &std::path::Path) -> Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e).context(|| format!("remove {}", folder.display())),
        _ => Ok(()),
    }
}

fn confirm(name: &str) -> Result<()> {
    if !std::io::stdin().is_terminal() {
        let why = "it asks before it destroys, and there is no terminal to ask on";
        return Err(Error::input(format!("destroy {name}"), why).hint(format!("lab destroy {name} -f")));
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
