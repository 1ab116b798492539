//! The labs, templates and bundle pins that the binary carries, so that it works from any folder.

use crate::error::{Context, Result};
use crate::state::write;
use include_dir::{Dir, include_dir};
use std::path::{Path, PathBuf};

static LABS: Dir = include_dir!("$CARGO_MANIFEST_DIR/labs");
static TEMPLATES: Dir = include_dir!("$CARGO_MANIFEST_DIR/templates");
static BUNDLE: Dir = include_dir!("$CARGO_MANIFEST_DIR/bundle");

/// The labs in the box: name and text.
pub fn labs() -> Vec<(String, &'static str)> {
    let files = LABS.files().filter_map(|f| Some((f.path().file_stem()?.to_str()?.to_owned(), f.contents_utf8()?)));
    let mut all: Vec<_> = files.collect();
    all.sort();
    all
}

/// The images that there are recipes for.
pub fn images() -> Vec<String> {
    let name = |path: &String| Some(path.strip_prefix("images/")?.strip_suffix(".yaml")?.to_owned());
    template_paths().iter().filter_map(name).collect()
}

/// A template by its path below `templates/`: its name for messages and its text.
pub fn template(path: &str) -> Option<(String, String)> {
    let text = TEMPLATES.get_file(path)?.contents_utf8()?;
    Some((format!("templates/{path}"), text.to_owned()))
}

/// The paths of all templates below `templates/`.
pub fn template_paths() -> Vec<String> {
    let mut all = Vec::new();
    paths(&TEMPLATES, &mut all);
    all.sort();
    all
}

fn paths(dir: &Dir, found: &mut Vec<String>) {
    found.extend(dir.files().filter_map(|f| f.path().to_str().map(str::to_owned)));
    dir.dirs().for_each(|inner| paths(inner, found));
}

/// The recipe of a bundle.
pub fn bundle_recipe(name: &str) -> Option<&'static str> {
    BUNDLE.get_file(format!("{name}.yaml"))?.contents_utf8()
}

/// Unpacks the bundle pins into the cache, for the tools that read folders; the folder is named by its content.
pub fn unpack_bundle(cache: &Path) -> Result<PathBuf> {
    let mut hasher = blake3::Hasher::new();
    hash(&BUNDLE, &mut hasher);
    let dir = cache.join(format!("pins-{}", &hasher.finalize().to_hex()[..16]));
    let done = dir.join(".whole");
    if !done.exists() {
        let what = || format!("unpack the bundle's pins into {}", dir.display());
        std::fs::create_dir_all(&dir).context(what)?;
        BUNDLE.extract(&dir).context(what)?;
        write::atomically(&done, b"", 0o644)?;
    }
    Ok(dir)
}

fn hash(dir: &Dir, hasher: &mut blake3::Hasher) {
    for file in dir.files() {
        hasher.update(file.path().as_os_str().as_encoded_bytes()).update(&[0]);
        hasher.update(&(file.contents().len() as u64).to_le_bytes()).update(file.contents());
    }
    for inner in dir.dirs() {
        hash(inner, hasher);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins_unpack_whole() {
        let cache = tempfile::tempdir().unwrap();
        let dir = unpack_bundle(cache.path()).unwrap();
        assert!(dir.join("go/kubernetes/go.sum").exists() && dir.join("kubernetes.yaml").exists());
        assert_eq!(unpack_bundle(cache.path()).unwrap(), dir);
    }
}
