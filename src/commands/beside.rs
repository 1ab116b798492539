//! The folder `templates` beside a lab file.

use super::which::text_of;
use crate::error::Error;
use std::cell::RefCell;
use std::path::{Path, PathBuf};

/// The templates of one lab file's own folder. What is there and cannot be taken is kept as an error: the lab must not be
/// built with another file of that name instead.
pub struct Own {
    lesson: PathBuf,
    refused: RefCell<Option<Error>>,
}

impl Own {
    /// Those beside a lab file in this folder.
    pub fn beside(lesson: &Path) -> Self {
        Self { lesson: lesson.to_owned(), refused: RefCell::default() }
    }

    fn dir(&self) -> PathBuf {
        self.lesson.join("templates")
    }

    /// The name for messages and the text of the template at this path below the folder.
    pub fn find(&self, path: &str) -> Option<(String, String)> {
        let file = self.dir().join(path);
        if !file.is_file() || !is_within(&file, &self.lesson) {
            return None;
        }
        match text_of(&file) {
            Ok(text) => Some((shown(&file), text)),
            Err(e) => {
                self.refused.borrow_mut().get_or_insert(e);
                None
            }
        }
    }

    /// The paths of all of them.
    pub fn paths(&self) -> Vec<String> {
        let mut all = Vec::new();
        below(&self.dir(), &self.dir(), &mut all);
        all
    }

    /// The first one that was asked for and could not be taken.
    pub fn refused(self) -> Option<Error> {
        self.refused.into_inner()
    }
}

/// Whether a file lies in a folder, wherever links on the way to it lead: a lab file of somebody else must not bring the
/// user's own files to its nodes.
fn is_within(file: &Path, dir: &Path) -> bool {
    matches!((file.canonicalize(), dir.canonicalize()), (Ok(file), Ok(dir)) if file.starts_with(&dir))
}

/// A path as one would type it from here.
fn shown(path: &Path) -> String {
    let here = std::env::current_dir().and_then(|dir| dir.canonicalize()).ok();
    here.and_then(|here| path.strip_prefix(here).ok()).unwrap_or(path).display().to_string()
}

/// The paths of all files below a folder, as seen from its root.
fn below(root: &Path, dir: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if entry.file_type().is_ok_and(|t| t.is_dir()) {
            below(root, &path, found);
        } else if let Some(path) = path.strip_prefix(root).ok().and_then(Path::to_str) {
            found.push(path.to_owned());
        }
    }
}
