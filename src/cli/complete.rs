//! Completions: the shells ask this program at each Tab, so that labs and nodes are those that there are.

use super::Cli;
use crate::embedded;
use crate::paths::Paths;
use crate::state::record::{LabRecord, existing};
use clap::{CommandFactory, ValueEnum};
use clap_complete::CompletionCandidate;
use clap_complete::env::{Bash, CompleteEnv, EnvCompleter, Fish, Zsh};

/// The variable by which a shell's script asks.
const VARIABLE: &str = "LAB_COMPLETE";

/// The shells that have a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    Bash,
    Zsh,
    Fish,
}

/// Answers a shell and ends the process, where one asks.
pub fn answer() {
    CompleteEnv::with_factory(Cli::command).var(VARIABLE).complete();
}

/// The script that a shell reads once.
///
/// # Errors
/// It cannot be written; the reason is the system's.
pub fn script(shell: Shell) -> std::io::Result<String> {
    let mut text = Vec::new();
    let completer: &dyn EnvCompleter = match shell {
        Shell::Bash => &Bash,
        Shell::Zsh => &Zsh,
        Shell::Fish => &Fish,
    };
    completer.write_registration(VARIABLE, "lab", "lab", "lab", &mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// Labs in the box and labs that exist.
pub fn labs() -> Vec<CompletionCandidate> {
    let mut names: Vec<String> = embedded::labs().into_iter().map(|(name, _)| name).collect();
    names.extend(existing(&Paths::from_env()));
    names.sort();
    names.dedup();
    names.into_iter().map(CompletionCandidate::new).collect()
}

/// Labs in the box.
pub fn boxed() -> Vec<CompletionCandidate> {
    embedded::labs().into_iter().map(|(name, _)| CompletionCandidate::new(name)).collect()
}

/// Images that there are recipes for.
pub fn images() -> Vec<CompletionCandidate> {
    embedded::images().into_iter().map(CompletionCandidate::new).collect()
}

/// Nodes of labs that exist.
pub fn nodes() -> Vec<CompletionCandidate> {
    records().iter().flat_map(|r| r.lab.nodes.iter().map(|n| CompletionCandidate::new(&n.name))).collect()
}

/// Nodes of labs that exist, and these labs.
pub fn nodes_and_labs() -> Vec<CompletionCandidate> {
    let mut all = nodes();
    all.extend(existing(&Paths::from_env()).into_iter().map(CompletionCandidate::new));
    all
}

/// Nodes as the begin of a path there.
pub fn places() -> Vec<CompletionCandidate> {
    records()
        .iter()
        .flat_map(|r| r.lab.nodes.iter().map(|n| CompletionCandidate::new(format!("{}:", n.name))))
        .collect()
}

/// Chapters of labs that exist.
pub fn chapters() -> Vec<CompletionCandidate> {
    records().iter().flat_map(|r| r.lab.chapters.iter().map(|c| CompletionCandidate::new(&c.name))).collect()
}

/// Observations of labs that exist.
pub fn observations() -> Vec<CompletionCandidate> {
    let paths = Paths::from_env();
    let folders = existing(&paths).into_iter().map(|name| paths.lab(&name).join("observations"));
    let entries = folders.flat_map(|dir| std::fs::read_dir(dir).into_iter().flatten().flatten());
    let mut names: Vec<String> = entries.filter_map(|e| e.file_name().into_string().ok()).collect();
    names.sort();
    names.dedup();
    names.into_iter().map(CompletionCandidate::new).collect()
}

/// Steps of labs that exist, composite ones by their own name.
pub fn steps() -> Vec<CompletionCandidate> {
    let mut names: Vec<String> = Vec::new();
    for record in records() {
        for step in &record.lab.steps {
            let top = step.name.split('/').next().unwrap_or(&step.name);
            if !names.iter().any(|n| n == top) {
                names.push(top.to_owned());
            }
        }
    }
    names.into_iter().map(CompletionCandidate::new).collect()
}

fn records() -> Vec<LabRecord> {
    let paths = Paths::from_env();
    existing(&paths).iter().filter_map(|name| LabRecord::load(&paths, name).ok().flatten()).collect()
}
