//! `lab kubeconfig`: the file that the lab exports under that name, printed or made part of the user's own.

use super::{exports, which};
use crate::cli;
use crate::error::{Context, Error, Result};
use crate::kubeconfig;
use crate::paths::Paths;
use crate::state::record::LabRecord;
use crate::state::write::atomically;
use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The export's name in lab files.
const EXPORT: &str = "kubeconfig";
/// In the lab's folder: which file has the lab's context, so that `destroy` takes it out.
const MERGED: &str = "merged";

/// Prints it, or merges it.
pub async fn kubeconfig(args: cli::Kubeconfig, paths: &Paths) -> Result<String> {
    let record = which::record(args.which.lab.as_deref(), paths)?;
    let text = exports::fetch(&record, EXPORT, paths).await?;
    if !args.merge {
        return Ok(text);
    }
    let path = user_file()?;
    let context = context(&record.lab.name);
    if let Some(dir) = path.parent() {
        Paths::make_private(dir)?;
    }
    change(&path, |old| {
        let merged = kubeconfig::merge(old, &text, &context);
        merged.map(Some).map_err(|why| Error::failed(format!("merge into {}", path.display()), why))
    })?;
    note(&record, &path, paths)?;
    Ok(format!("{}: has the context {context} now; use it with `--context {context}`\n", path.display()))
}

/// Takes a lab's context out of the files that it was merged into; nothing to do is fine.
pub fn forget(lab: &str, paths: &Paths) -> Result<()> {
    let merged = std::fs::read_to_string(paths.lab(lab).join(MERGED)).unwrap_or_default();
    for path in merged.lines().map(Path::new).filter(|p| p.exists()) {
        change(path, |old| {
            let removed = kubeconfig::remove(old.unwrap_or_default(), &context(lab));
            removed.map_err(|why| Error::failed(format!("take the lab out of {}", path.display()), why))
        })?;
    }
    Ok(())
}

fn context(lab: &str) -> String {
    format!("lab-{lab}")
}

fn note(record: &LabRecord, path: &Path, paths: &Paths) -> Result<()> {
    let file = paths.lab(&record.lab.name).join(MERGED);
    let mut all = std::fs::read_to_string(&file).unwrap_or_default();
    let line = path.display().to_string();
    if !all.lines().any(|l| l == line) {
        all += &format!("{line}\n");
        atomically(&file, all.as_bytes(), 0o600)?;
    }
    Ok(())
}

/// The user's own file, as clients find it: the first of $KUBECONFIG, else ~/.kube/config; where it is a link, what it
/// points to.
fn user_file() -> Result<PathBuf> {
    let named = std::env::var_os("KUBECONFIG").filter(|v| !v.is_empty());
    let first = named.and_then(|v| std::env::split_paths(&v).find(|p| !p.as_os_str().is_empty()));
    let path = match first {
        Some(path) => std::path::absolute(path).context(|| "find your kubeconfig")?,
        None => {
            let home = std::env::var_os("HOME");
            let home = home.ok_or_else(|| Error::input("find your kubeconfig", "HOME is not set"))?;
            Path::new(&home).join(".kube/config")
        }
    };
    Ok(path.canonicalize().unwrap_or(path))
}

/// Replaces the file by what `edit` makes of it, under the lock that other clients take too.
fn change(path: &Path, edit: impl FnOnce(Option<&str>) -> Result<Option<String>>) -> Result<()> {
    let _lock = Locked::take(path)?;
    let old = match std::fs::read_to_string(path) {
        Err(e) if e.kind() == ErrorKind::NotFound => None,
        other => Some(other.context(|| format!("read {}", path.display()))?),
    };
    match edit(old.as_deref())? {
        Some(new) if old.as_deref() != Some(&new) => atomically(path, new.as_bytes(), 0o600),
        _ => Ok(()),
    }
}

/// A file `PATH.lock` that is there while somebody writes.
struct Locked(PathBuf);

impl Locked {
    fn take(path: &Path) -> Result<Self> {
        let mut lock = path.as_os_str().to_owned();
        lock.push(".lock");
        let lock = PathBuf::from(lock);
        match File::options().write(true).create_new(true).open(&lock) {
            Ok(_) => Ok(Self(lock)),
            Err(e) if e.kind() == ErrorKind::AlreadyExists => {
                let why = format!("another program writes it, or one that died left {}", lock.display());
                Err(Error::failed(format!("change {}", path.display()), why)
                    .hint(format!("try again, or rm {}", lock.display())))
            }
            Err(e) => Err(e).context(|| format!("lock {}", path.display())),
        }
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        // Somebody who removed it has taken it on themselves.
        let _ = std::fs::remove_file(&self.0);
    }
}
