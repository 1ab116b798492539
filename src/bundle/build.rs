//! Building a bundle part by part: what is in the cache and whole is used, the rest is made.

use super::cache::{self, CachedPart, Missing};
use super::manifest::{Bundle, Manifest, Part};
use super::produce::{Work, produce};
use super::recipe::{PartRecipe, Producer, Recipe};
use super::{command, lock};
use crate::error::{Context, Error, Result};
use crate::event::Reporter;
use crate::state::write;
use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// The task name under which progress is reported.
const TASK: &str = "bundle";

/// Where and how to build.
pub struct Options<'a> {
    /// The bundles' folder in the cache.
    pub cache: &'a Path,
    /// The recipe's folder, unpacked on disk.
    pub dir: &'a Path,
    /// Fetch nothing: what is missing is an error.
    pub offline: bool,
    pub reporter: &'a Reporter,
}

/// The digest of everything that goes into each part, by name; and of the whole. Two hosts with the same pins, the same
/// recipe and the same kind of processor have the same keys.
///
/// # Errors
/// A folder of pins cannot be read.
pub fn keys(recipe: &Recipe, dir: &Path) -> Result<(BTreeMap<String, String>, String)> {
    let mut keys: BTreeMap<String, String> = BTreeMap::new();
    let mut whole = blake3::Hasher::new();
    for part in &recipe.parts {
        let mut hasher = blake3::Hasher::new();
        // The recipe's own derive is stable enough: a change of its form rebuilds, it never confuses.
        hasher.update(format!("{} {} {:?}", form(&part.producer), std::env::consts::ARCH, part).as_bytes());
        if let Producer::Go(go) = &part.producer {
            hash_folder(&dir.join(&go.dir), &mut hasher)?;
        }
        for used in &part.uses {
            hasher.update(keys.get(used).map_or("", String::as_str).as_bytes());
        }
        let key = hasher.finalize().to_hex()[..16].to_owned();
        whole.update(part.name.as_bytes()).update(key.as_bytes());
        keys.insert(part.name.clone(), key);
    }
    Ok((keys, whole.finalize().to_hex()[..16].to_owned()))
}

/// Raised when a producer makes other bytes of the same recipe, so that what the older one made is not used.
fn form(producer: &Producer) -> u32 {
    match producer {
        Producer::Go(_) | Producer::Run { .. } | Producer::Images(_) => 2,
        Producer::Debian { .. } => 3,
    }
}

fn hash_folder(dir: &Path, hasher: &mut blake3::Hasher) -> Result<()> {
    let what = || format!("read {}", dir.display());
    let entries = std::fs::read_dir(dir).context(what)?;
    let mut paths: Vec<PathBuf> = entries.map(|e| e.map(|e| e.path())).collect::<std::io::Result<_>>().context(what)?;
    paths.sort();
    for path in paths {
        hasher.update(path.file_name().unwrap_or_default().as_encoded_bytes()).update(&[0]);
        if path.is_dir() {
            hash_folder(&path, hasher)?;
        } else {
            let content = std::fs::read(&path).context(what)?;
            hasher.update(&(content.len() as u64).to_le_bytes()).update(&content);
        }
    }
    Ok(())
}

/// The finished bundle of this recipe, if the cache has it and every file has its size; [`Bundle::verify`] proves the
/// content.
pub fn find(recipe: &Recipe, options: &Options) -> Result<Option<Bundle>> {
    let (_, key) = keys(recipe, options.dir)?;
    Ok(at(folder(recipe, &key, options)))
}

fn folder(recipe: &Recipe, key: &str, options: &Options) -> PathBuf {
    options.cache.join(format!("{}-{key}", recipe.name))
}

fn at(dir: PathBuf) -> Option<Bundle> {
    let manifest: Manifest = serde_json::from_slice(&std::fs::read(dir.join("manifest.json")).ok()?).ok()?;
    let bundle = Bundle { dir, manifest };
    let whole = bundle.files().all(|(path, file)| std::fs::metadata(path).is_ok_and(|m| m.len() == file.size));
    whole.then_some(bundle)
}

/// Builds what is missing and returns the bundle. Blocks for minutes: call it on a thread of its own.
///
/// # Errors
/// A part that cannot be built, with its log; offline, the first part that is missing.
pub fn build(recipe: &Recipe, options: &Options) -> Result<Bundle> {
    let (keys, key) = keys(recipe, options.dir)?;
    let _lock = lock::take(options.cache, TASK, options.reporter)?;
    let parts_dir = options.cache.join("parts");
    let mut parts: BTreeMap<String, CachedPart> = BTreeMap::new();
    for (number, part) in recipe.parts.iter().enumerate() {
        let message = format!("{} ({} of {})", part.name, number + 1, recipe.parts.len());
        options.reporter.progress(TASK, message);
        let made = one(part, &keys[&part.name], &parts_dir, &parts, options)?;
        parts.insert(part.name.clone(), made);
    }
    assemble(recipe, key, &parts, options)
}

fn one(
    part: &PartRecipe,
    key: &str,
    parts_dir: &Path,
    parts: &BTreeMap<String, CachedPart>,
    options: &Options,
) -> Result<CachedPart> {
    match cache::find(parts_dir, &part.name, key) {
        Ok(found) => return Ok(found),
        Err(Missing::Damaged(file)) => {
            options.reporter.note(format!("{}: {file} in the cache is damaged; built again", part.name));
        }
        Err(Missing::Never) => {}
    }
    if options.offline {
        let why = format!("{} is not in the cache, and --offline fetches nothing", part.name);
        return Err(Error::failed("use the bundle", why).hint("run `lab bundle build` while online"));
    }
    let begun = Instant::now();
    let built = cache::begin(parts_dir)?;
    let log = options.cache.join("logs").join(format!("{}.log", part.name));
    command::begin_log(&log)?;
    let details = produce(&Work { dir: options.dir, out: built.path(), log: &log, parts, part })?;
    let made = cache::finish(parts_dir, &part.name, key, built, details)?;
    options.reporter.note(format!("{}: built in {:.1}s", part.name, begun.elapsed().as_secs_f64()));
    Ok(made)
}

/// Lays the parts' files into the bundle's folder by hard links, the manifest last.
fn assemble(recipe: &Recipe, key: String, parts: &BTreeMap<String, CachedPart>, options: &Options) -> Result<Bundle> {
    let dir = folder(recipe, &key, options);
    let what = || "assemble the bundle".to_owned();
    let fresh = tempfile::Builder::new().prefix(lock::UNFINISHED).tempdir_in(options.cache).context(what)?;
    let mut listed = Vec::new();
    for part in &recipe.parts {
        let Some(cached) = parts.get(&part.name) else { continue };
        for file in &cached.record.files {
            let to = fresh.path().join(&part.name).join(&file.name);
            if let Some(above) = to.parent() {
                std::fs::create_dir_all(above).context(what)?;
            }
            std::fs::hard_link(cached.dir.join(&file.name), &to).context(what)?;
        }
        listed.push(Part {
            name: part.name.clone(),
            key: cached.record.key.clone(),
            origin: part.origin.clone(),
            stands_for: part.stands_for.clone(),
            details: cached.record.details.clone(),
            files: cached.record.files.clone(),
        });
    }
    let manifest = Manifest { name: recipe.name.clone(), version: recipe.version.clone(), key, parts: listed };
    // Somebody may be reading it: what is right is left alone. Its files are the verified parts', by hard link.
    if let Some(same) = at(dir.clone()).filter(|b| b.manifest == manifest && linked(b, parts)) {
        return Ok(same);
    }
    let text = serde_json::to_vec_pretty(&manifest).context(what)?;
    write::atomically(&fresh.path().join("manifest.json"), &text, 0o644)?;
    if dir.exists() {
        std::fs::remove_dir_all(&dir).context(what)?;
    }
    std::fs::rename(fresh.keep(), &dir).context(what)?;
    Ok(Bundle { dir, manifest })
}

/// Whether every file is the very file of its part.
fn linked(bundle: &Bundle, parts: &BTreeMap<String, CachedPart>) -> bool {
    let inode = |path: &Path| std::fs::metadata(path).map(|m| (m.dev(), m.ino())).ok();
    bundle.manifest.parts.iter().all(|part| {
        let Some(cached) = parts.get(&part.name) else { return false };
        part.files.iter().all(|f| {
            let here = inode(&bundle.dir.join(&part.name).join(&f.name));
            here.is_some() && here == inode(&cached.dir.join(&f.name))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECIPE: &str = "bundle: b\nversion: 1\nparts:\n  one: {origin: o, run: 'echo $RANDOM$RANDOM$RANDOM > $OUT/x'}\n  two: {origin: o, run: 'cat $PART_one/x > $OUT/y', uses: one}\n";

    fn options<'a>(dir: &'a Path, reporter: &'a Reporter, offline: bool) -> Options<'a> {
        Options { cache: dir, dir, offline, reporter }
    }

    #[test]
    fn what_is_built_is_used_again() {
        let dir = tempfile::tempdir().unwrap();
        let silent = Reporter::silent();
        let recipe = Recipe::parse(RECIPE, "b").unwrap();
        let first = build(&recipe, &options(dir.path(), &silent, false)).unwrap();
        let again = build(&recipe, &options(dir.path(), &silent, true)).unwrap();
        assert_eq!(first.manifest, again.manifest);
        assert_eq!(find(&recipe, &options(dir.path(), &silent, true)).unwrap().unwrap().manifest, first.manifest);
    }

    #[test]
    fn one_changed_pin_rebuilds_that_part_and_what_uses_it() {
        let dir = tempfile::tempdir().unwrap();
        let silent = Reporter::silent();
        let build =
            |text: &str| build(&Recipe::parse(text, "b").unwrap(), &options(dir.path(), &silent, false)).unwrap();
        let first = build(RECIPE);
        let second = build(&RECIPE.replace("cat $PART_one/x", "cat  $PART_one/x"));
        assert_eq!(first.manifest.parts[0], second.manifest.parts[0]);
        assert_ne!(first.manifest.parts[1].key, second.manifest.parts[1].key);
    }

    #[test]
    fn a_damaged_part_is_built_again_and_offline_refused() {
        let dir = tempfile::tempdir().unwrap();
        let silent = Reporter::silent();
        let recipe = Recipe::parse(RECIPE, "b").unwrap();
        let first = build(&recipe, &options(dir.path(), &silent, false)).unwrap();
        let part = dir.path().join(format!("parts/one-{}/x", first.manifest.parts[0].key));
        std::fs::write(part, "flipped").unwrap();
        let error = build(&recipe, &options(dir.path(), &silent, true)).unwrap_err();
        assert!(error.hint.unwrap().contains("lab bundle build"));
        let second = build(&recipe, &options(dir.path(), &silent, false)).unwrap();
        assert_ne!(second.manifest.parts[0].files[0].sha256, first.manifest.parts[0].files[0].sha256);
    }

    #[test]
    fn a_part_that_fails_says_which_with_its_log() {
        let dir = tempfile::tempdir().unwrap();
        let silent = Reporter::silent();
        let recipe =
            Recipe::parse("bundle: b\nversion: 1\nparts:\n  bad: {origin: o, run: 'echo oops >&2; exit 3'}\n", "b")
                .unwrap();
        let error = build(&recipe, &options(dir.path(), &silent, false)).unwrap_err();
        assert!(
            error.what.contains("bad") && error.why.contains("oops") && error.why.contains("exit status: 3"),
            "{error}"
        );
        assert!(error.hint.unwrap().contains("logs/bad.log"));
    }
}
