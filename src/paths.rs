//! Where `lab` keeps things: caches, a lab's state, sockets. Nothing here touches the disk but [`Paths::make_private`].

use crate::error::{Context, Result};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// The folders of one user on one host.
#[derive(Debug, Clone)]
pub struct Paths {
    /// Things that can be made again: bundles, images. `$LAB_CACHE_DIR`, else `$XDG_CACHE_HOME/lab`.
    pub cache: PathBuf,
    /// What must not be lost: a folder per lab. `$LAB_STATE_DIR`, else `$XDG_STATE_HOME/lab`.
    pub state: PathBuf,
    /// Sockets. Short, since a unix socket's path must stay under 104 bytes. `$LAB_RUN_DIR`, else
    /// `$XDG_RUNTIME_DIR/lab`, else `/tmp/lab-UID`.
    pub run: PathBuf,
}

impl Paths {
    /// The folders that the environment names.
    pub fn from_env() -> Self {
        Self::resolve(|name| std::env::var_os(name).map(PathBuf::from))
    }

    fn resolve(var: impl Fn(&str) -> Option<PathBuf>) -> Self {
        // As the XDG specification wants it: a relative path there does not count.
        let var_of_others = |name: &str| var(name).filter(|path| path.is_absolute());
        let home = var_of_others("HOME").unwrap_or_else(|| PathBuf::from("/"));
        let uid = rustix::process::getuid().as_raw();
        let below = |own: &str, xdg: &str, fallback: PathBuf| {
            // Our own is meant as it is said: to pass over it would be to work on the labs of another folder.
            let own = var(own).filter(|path| !path.as_os_str().is_empty()).and_then(|p| std::path::absolute(p).ok());
            own.or_else(|| var_of_others(xdg).map(|p| p.join("lab"))).unwrap_or(fallback)
        };
        Self {
            cache: below("LAB_CACHE_DIR", "XDG_CACHE_HOME", home.join(".cache/lab")),
            state: below("LAB_STATE_DIR", "XDG_STATE_HOME", home.join(".local/state/lab")),
            run: below("LAB_RUN_DIR", "XDG_RUNTIME_DIR", PathBuf::from(format!("/tmp/lab-{uid}"))),
        }
    }

    /// The state folder of one lab.
    pub fn lab(&self, lab: &str) -> PathBuf {
        self.state.join(lab)
    }

    /// The socket folder of one lab: eight letters of a digest over the state folder and the name, so that it is short
    /// and two state folders never share one.
    pub fn lab_run(&self, lab: &str) -> PathBuf {
        let digest = blake3::hash(self.lab(lab).as_os_str().as_encoded_bytes()).to_hex();
        self.run.join(&digest.as_str()[..8])
    }

    /// Makes a folder, and those above it that are missing, readable by the user only.
    pub fn make_private(dir: &Path) -> Result<()> {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .context(|| format!("make the folder {}", dir.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_variables_win_over_xdg_over_home() {
        let paths = Paths::resolve(|name| match name {
            "HOME" => Some("/h".into()),
            "XDG_CACHE_HOME" => Some("/c".into()),
            "LAB_STATE_DIR" => Some("/s".into()),
            _ => None,
        });
        assert_eq!(paths.cache, Path::new("/c/lab"));
        assert_eq!(paths.state, Path::new("/s"));
        assert!(paths.run.starts_with("/tmp"));
    }

    #[test]
    fn a_relative_folder_of_ours_is_below_this_one_and_never_passed_over() {
        let paths = Paths::resolve(|name| match name {
            "LAB_STATE_DIR" => Some("s".into()),
            "XDG_CACHE_HOME" => Some("c".into()),
            "HOME" => Some("/h".into()),
            _ => None,
        });
        assert_eq!(paths.state, std::env::current_dir().unwrap().join("s"));
        assert_eq!(paths.cache, Path::new("/h/.cache/lab"));
    }

    #[test]
    fn socket_folders_are_short_and_differ() {
        let paths = Paths::resolve(|_| None);
        let long = "a".repeat(60);
        assert!(paths.lab_run(&long).join("net-some-long-name.sock").as_os_str().len() < 104);
        assert_ne!(paths.lab_run("a"), paths.lab_run("b"));
    }
}
