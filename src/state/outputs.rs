//! What steps left for later ones: a file per task, 0600, since some of it is secret.

use super::{sealed, write};
use crate::error::{Context, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The outputs of one task.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Outputs {
    pub values: BTreeMap<String, String>,
    /// The names whose values are masked in everything that is shown or logged.
    pub secret: Vec<String>,
}

fn path(dir: &Path, task: &str) -> PathBuf {
    dir.join("outputs").join(format!("{}.json", &blake3::hash(task.as_bytes()).to_hex()[..16]))
}

/// Writes the outputs of a task below the lab's folder.
pub fn save(dir: &Path, task: &str, outputs: &Outputs) -> Result<()> {
    crate::paths::Paths::make_private(&dir.join("outputs"))?;
    let text = sealed::file(outputs).context(|| format!("keep the outputs of {task}"))?;
    write::atomically(&path(dir, task), &text, 0o600)
}

/// The outputs of a task; None when it left none or they are damaged.
pub fn load(dir: &Path, task: &str) -> Option<Outputs> {
    sealed::read_file(&std::fs::read(path(dir, task)).ok()?).ok()
}
