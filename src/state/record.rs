//! What is known of a lab that exists: enough to reach, show and destroy it without its lab file.

use super::{sealed, write};
use crate::driver::{BaseImage, Forward, Place};
use crate::error::{Context, Error, Result};
use crate::lab::model::Lab;
use crate::lab::name_problem;
use crate::paths::Paths;
use crate::ssh::KeyPair;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The record of a lab; holds secrets, so its file is 0600.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LabRecord {
    pub lab: Lab,
    /// The driver that made its nodes; a lab keeps its driver for life.
    pub driver: String,
    pub offline: bool,
    pub image: BaseImage,
    /// A digest of the image's files, on which the disks of nodes stand; empty in records of earlier versions.
    #[serde(default)]
    pub content: String,
    /// The lab file's path, or None for a lab in the box.
    pub file: Option<PathBuf>,
    /// The key that logs into all nodes.
    pub login: KeyPair,
    /// Each node's host key.
    pub host_keys: BTreeMap<String, KeyPair>,
    /// The ports of 127.0.0.1 that are a node's for the lab's life, by node.
    #[serde(default)]
    pub forwards: BTreeMap<String, Vec<Forward>>,
}

const FILE: &str = "lab.json";

impl LabRecord {
    /// Reads the record of a lab; None when the lab does not exist.
    pub fn load(paths: &Paths, lab: &str) -> Result<Option<Self>> {
        if name_problem(lab).is_some() {
            // A path that leads elsewhere.
            return Ok(None);
        }
        let path = paths.lab(lab).join(FILE);
        match std::fs::read(&path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e).context(|| format!("read {}", path.display())),
            Ok(text) => sealed::read_file(&text).map(Some).map_err(|e| {
                let hint = format!("`lab destroy {lab}` still removes everything");
                Error::failed(format!("read {}", path.display()), e).hint(hint)
            }),
        }
    }

    /// Writes the record.
    pub fn save(&self, paths: &Paths) -> Result<()> {
        let dir = paths.lab(&self.lab.name);
        Paths::make_private(&dir)?;
        let text = sealed::file(self).context(|| "write the lab's record".to_owned())?;
        write::atomically(&dir.join(FILE), &text, 0o600)
    }
}

/// Where a node of a lab lives.
pub fn place(paths: &Paths, lab: &str, node: &str) -> Place {
    Place {
        lab: lab.to_owned(),
        node: node.to_owned(),
        dir: paths.lab(lab).join("nodes").join(node),
        run: paths.lab_run(lab),
    }
}

/// The labs that have state here, by their folders.
pub fn existing(paths: &Paths) -> Vec<String> {
    folders(paths).into_iter().filter(|name| !has_only_notes(paths, name)).collect()
}

/// The labs that were destroyed and of which only observations are kept.
pub fn with_notes_only(paths: &Paths) -> Vec<String> {
    folders(paths).into_iter().filter(|name| has_only_notes(paths, name)).collect()
}

fn folders(paths: &Paths) -> Vec<String> {
    let entries = std::fs::read_dir(&paths.state).into_iter().flatten().flatten();
    let mut all: Vec<String> =
        entries.filter(|e| e.path().is_dir()).filter_map(|e| e.file_name().into_string().ok()).collect();
    all.sort();
    all
}

fn has_only_notes(paths: &Paths, lab: &str) -> bool {
    let names = std::fs::read_dir(paths.lab(lab)).into_iter().flatten().flatten().map(|e| e.file_name());
    names.collect::<Vec<_>>() == ["observations"]
}

/// The nodes of a lab by their folders: what `destroy` goes by when the record is damaged.
pub fn node_folders(paths: &Paths, lab: &str) -> Vec<String> {
    let entries = std::fs::read_dir(paths.lab(lab).join("nodes")).into_iter().flatten().flatten();
    let mut all: Vec<String> = entries.filter_map(|e| e.file_name().into_string().ok()).collect();
    all.sort();
    all
}
