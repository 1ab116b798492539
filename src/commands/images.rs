//! `lab bundle` and `lab image`; and for `up`: the image of a lab, built where it is missing.

use super::which;
use crate::bundle::{self, Bundle};
use crate::driver::BaseImage;
use crate::embedded;
use crate::error::{Context, Error, Result};
use crate::event::Reporter;
use crate::image::{self, Image};
use crate::paths::Paths;
use crate::ui::table;
use serde_json::json;
use std::path::{Path, PathBuf};

/// Builds the bundle, or finds it in the cache.
pub fn bundle(name: &str, paths: &Paths, offline: bool, reporter: &Reporter) -> Result<Bundle> {
    let (recipe, dir) = bundle_recipe(name, paths)?;
    let cache = paths.cache.join("bundle");
    let options = bundle::Options { cache: &cache, dir: &dir, offline, reporter };
    match bundle::find(&recipe, &options)? {
        Some(found) if offline => Ok(found),
        _ => bundle::build(&recipe, &options),
    }
}

fn bundle_recipe(name: &str, paths: &Paths) -> Result<(bundle::Recipe, PathBuf)> {
    let text = embedded::bundle_recipe(name)
        .ok_or_else(|| Error::input(format!("use the bundle {name}"), "there is no recipe of this name"))?;
    let recipe = bundle::Recipe::parse(text, &format!("bundle/{name}.yaml"))?;
    Ok((recipe, embedded::unpack_bundle(&paths.cache.join("bundle"))?))
}

fn find_bundle(name: &str, paths: &Paths) -> Result<Option<Bundle>> {
    let (recipe, dir) = bundle_recipe(name, paths)?;
    let cache = paths.cache.join("bundle");
    let silent = Reporter::silent();
    bundle::find(&recipe, &bundle::Options { cache: &cache, dir: &dir, offline: true, reporter: &silent })
}

/// `lab bundle show`.
pub fn show_bundle(name: &str, json: bool, paths: &Paths) -> Result<String> {
    let found = find_bundle(name, paths)?.ok_or_else(|| {
        Error::failed(format!("show the bundle {name}"), "it is not built").hint("run `lab bundle build`")
    })?;
    if json {
        let manifest = serde_json::to_value(&found.manifest);
        return manifest.map(|m| super::json("bundle", m)).map_err(|e| Error::failed("show the bundle", e));
    }
    let mut rows = Vec::new();
    for part in &found.manifest.parts {
        let size: u64 = part.files.iter().map(|f| f.size).sum();
        rows.push(vec![part.name.clone(), format!("{} MiB", size >> 20), part.key.clone(), part.origin.clone()]);
    }
    let mut out = format!("{} {}\n{}\n\n", found.manifest.name, found.manifest.version, found.dir.display());
    out += &table(&["PART", "SIZE", "KEY", "ORIGIN"], &rows);
    let stands: Vec<String> = found
        .manifest
        .parts
        .iter()
        .filter_map(|p| Some(format!("  {}: {}\n", p.name, p.stands_for.as_ref()?)))
        .collect();
    out += &format!("\nWhat stands for something else:\n{}", stands.concat());
    if let Some(images) = found.manifest.parts.iter().find(|p| p.files.iter().any(|f| f.name == "oci-layout")) {
        out +=
            &format!("\nContainer images:\n{}", images.details.iter().map(|d| format!("  {d}\n")).collect::<String>());
    }
    Ok(out)
}

/// Builds an image and the bundle it needs, or finds it in the cache. Blocks for minutes.
pub fn ensure_image(wanted: &Wanted, paths: &Paths, offline: bool, reporter: &Reporter) -> Result<Image> {
    let name = &wanted.name;
    let (recipe, bundle_key) = image_recipe(wanted, paths)?;
    let key = image::key(&recipe, bundle_key.as_deref());
    let cache = paths.cache.join("images");
    if let Some(found) = image::find(&cache, &key) {
        match found.prove() {
            Ok(()) => return Ok(found),
            Err(error) if offline => return Err(error),
            Err(error) => {
                reporter.note(format!("{}; built again", error.why));
                discard(&found.manifest.name, &found.dir, paths)?;
            }
        }
    }
    if offline {
        let why = format!("the image {name} is not in the cache, and --offline fetches nothing");
        let hint = format!("run `lab image build {}` while online", wanted.spoken());
        return Err(Error::failed("use the image", why).hint(hint));
    }
    let unbuilt = match &recipe.bundle {
        Some(bundle) => find_bundle(bundle, paths)?.is_none(),
        None => false,
    };
    tools(unbuilt)?;
    let bundle = match &recipe.bundle {
        Some(bundle) => Some(self::bundle(bundle, paths, false, reporter)?),
        None => None,
    };
    image::build(&recipe, bundle.as_ref(), &key, &image::Options { cache: &cache, reporter })
}

/// An image that is there already.
pub fn cached(wanted: &Wanted, paths: &Paths) -> Option<BaseImage> {
    let (recipe, bundle_key) = image_recipe(wanted, paths).ok()?;
    let found = image::find(&paths.cache.join("images"), &image::key(&recipe, bundle_key.as_deref()))?;
    Some(BaseImage { key: found.manifest.key, dir: found.dir })
}

/// A program of the bundle that this image is made with.
pub fn program(image: &Wanted, program: &str, paths: &Paths) -> Result<PathBuf> {
    let what = || format!("run {program}");
    let (recipe, _) = image_recipe(image, paths)?;
    let none = || Error::input(what(), format!("the image {} has no bundle", image.name));
    let name = recipe.bundle.ok_or_else(none)?;
    let missing = |why: &str| Error::failed(what(), why).hint(format!("lab bundle build {name}"));
    let bundle = find_bundle(&name, paths)?.ok_or_else(|| missing("the bundle is not in the cache"))?;
    let path = bundle.dir.join(program);
    if path.is_file() { Ok(path) } else { Err(missing("the bundle has no such file")) }
}

/// Makes the unpacked tree of an image, for drivers that boot it as it is.
pub fn unpack(image: &BaseImage, reporter: &Reporter) -> Result<()> {
    known(image)?.tree(reporter).map(drop)
}

/// Proves the image that a lab's disks stand on: another one in its place, though good, would not fit them.
/// Returns the digest of its content.
pub fn prove(image: &BaseImage) -> Result<String> {
    let image = known(image)?;
    image.prove().map_err(|e| e.hint("`lab destroy` the labs on it, then `lab image build` makes it anew"))?;
    Ok(image.manifest.content())
}

/// The digest of an image's content, as its manifest has it; None when it is not in the cache.
pub fn content(image: &BaseImage) -> Option<String> {
    known(image).ok().map(|image| image.manifest.content())
}

fn known(image: &BaseImage) -> Result<Image> {
    let missing =
        || Error::failed("use the image", format!("{} is damaged", image.dir.display())).hint("lab image build");
    image.dir.parent().and_then(|images| image::find(images, &image.key)).ok_or_else(missing)
}

/// The programs that builds run, looked for before the first of them runs for minutes. Go only for a bundle that is not
/// there yet: one brought from elsewhere needs no compiler.
fn tools(unbuilt_bundle: bool) -> Result<()> {
    let mut wanted = vec!["mmdebstrap", "mke2fs", "qemu-img", "tar"];
    wanted.extend(unbuilt_bundle.then_some("go"));
    let missing = bundle::missing(&wanted);
    if missing.is_empty() {
        return Ok(());
    }
    let why = format!("missing on this host: {}", missing.join(", "));
    Err(Error::host("build the image; nothing was changed", why)
        .hint("scripts/setup-host of the repository installs them (Debian)"))
}

/// Removes a damaged image, unless disks of nodes stand on it: they would lose what they have, and containers that run
/// would lose their files at once.
fn discard(name: &str, dir: &Path, paths: &Paths) -> Result<()> {
    let what = || format!("build the image {name} again");
    let (_, on_it) = which::having(|r| r.image.dir == dir && paths.lab(&r.lab.name).join("nodes").exists(), paths);
    let labs: Vec<&str> = on_it.iter().map(|r| r.lab.name.as_str()).collect();
    if let Some(first) = labs.first() {
        let why = format!("nodes stand on the damaged one, of {}", labs.join(", "));
        return Err(Error::failed(what(), why).hint(format!("lab destroy {first}; then again")));
    }
    std::fs::remove_dir_all(dir).context(what)
}

/// `lab image build`: builds again what is damaged.
pub fn build_image(named: &str, paths: &Paths, reporter: &Reporter) -> Result<Image> {
    let wanted = &Wanted::named(named, paths)?;
    let image = ensure_image(wanted, paths, false, reporter)?;
    if let Err(error) = image.verify() {
        reporter.note(error.why);
        discard(&image.manifest.name, &image.dir, paths)?;
        return ensure_image(wanted, paths, false, reporter);
    }
    Ok(image)
}

/// An image by its name, and the lab file beside which its recipe may stand.
#[derive(Debug, Clone)]
pub struct Wanted {
    name: String,
    file: Option<PathBuf>,
}

impl Wanted {
    /// The image of a lab.
    pub fn of(name: &str, file: Option<&Path>) -> Self {
        Self { name: name.to_owned(), file: file.map(Path::to_owned) }
    }

    /// What a user names: an image of the box, or a lab file, which means the image of that lab.
    fn named(name: &str, paths: &Paths) -> Result<Self> {
        if !Path::new(name).is_file() {
            return Ok(Self::of(name, None));
        }
        let found = which::find(Some(name), &[], paths)?;
        Ok(Self::of(&found.lab.image, found.file.as_deref()))
    }

    /// What a user would name.
    fn spoken(&self) -> String {
        let own = self.file.as_ref().filter(|_| embedded::template(&self.path()).is_none());
        own.map_or_else(|| self.name.clone(), |file| file.display().to_string())
    }

    fn path(&self) -> String {
        format!("images/{}.yaml", self.name)
    }

    /// The recipe: of the box, else of the folder `templates` beside the lab file.
    ///
    /// # Errors
    /// There is none, or it is not good.
    pub fn recipe(&self) -> Result<image::Recipe> {
        if let Some(recipe) = of_the_box(&self.name) {
            return recipe;
        }
        let beside = self.file.as_ref().and_then(|file| file.parent()).map(|dir| dir.join("templates"));
        let Some(own) = beside.map(|dir| dir.join(self.path())).filter(|own| own.is_file()) else {
            let why = "there is no recipe of this name";
            let hint =
                format!("there are {}; one of a lab file: lab image build LAB.yaml", embedded::images().join(", "));
            return Err(Error::input(format!("use the image {}", self.name), why).hint(hint));
        };
        let text = which::text_of(&own)?;
        image::Recipe::derived(&text, &own.display().to_string(), |base| of_the_box(base)?.ok())
    }
}

fn of_the_box(name: &str) -> Option<Result<image::Recipe>> {
    let (file, text) = embedded::template(&format!("images/{name}.yaml"))?;
    Some(image::Recipe::parse(&text, &file))
}

fn image_recipe(wanted: &Wanted, paths: &Paths) -> Result<(image::Recipe, Option<String>)> {
    let recipe = wanted.recipe()?;
    let bundle_key = match &recipe.bundle {
        Some(bundle) => {
            let (recipe, dir) = bundle_recipe(bundle, paths)?;
            Some(bundle::keys(&recipe, &dir)?.1)
        }
        None => None,
    };
    Ok((recipe, bundle_key))
}

/// `lab image list`.
pub fn list_images(as_json: bool, paths: &Paths) -> String {
    if as_json {
        let images = image::list(&paths.cache.join("images"));
        let facts = images.iter().map(|i| json!({"dir": i.dir, "manifest": i.manifest})).collect::<Vec<_>>();
        return super::json("images", json!({"images": facts}));
    }
    let rows: Vec<Vec<String>> = image::list(&paths.cache.join("images"))
        .iter()
        .map(|i| {
            let disk = i.manifest.files.iter().find(|f| f.name == "disk.qcow2").map_or(0, |f| f.size);
            let packages = i.manifest.packages.len();
            vec![i.manifest.name.clone(), i.manifest.key.clone(), format!("{} MiB", disk >> 20), packages.to_string()]
        })
        .collect();
    table(&["IMAGE", "KEY", "DISK", "PACKAGES"], &rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::resolve::{Sources, resolve};
    use crate::state::record::LabRecord;
    use std::collections::BTreeMap;

    #[test]
    fn an_image_with_nodes_on_it_is_not_taken_from_under_them() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let paths = Paths { cache: at("cache"), state: at("state"), run: at("run") };
        let image = at("cache/images/k");
        std::fs::create_dir_all(&image).unwrap();
        let library = |_: &str| Some(("x".to_owned(), String::new()));
        let text = "lab: x\nimage: plain\nnetworks: {nat: {kind: nat}}\nnodes: {n1: {}}\n";
        let sources = Sources { name: "l", text, library: &library, set: &BTreeMap::new() };
        let record = LabRecord {
            lab: resolve(&sources).unwrap(),
            driver: "container".into(),
            offline: true,
            image: BaseImage { key: "k".into(), dir: image.clone() },
            content: String::new(),
            file: None,
            login: crate::ssh::KeyPair::generate("x").unwrap(),
            host_keys: BTreeMap::new(),
            forwards: BTreeMap::new(),
        };
        record.save(&paths).unwrap();
        std::fs::create_dir_all(paths.lab("x").join("nodes/n1")).unwrap();
        let error = discard("plain", &image, &paths).unwrap_err();
        assert!(error.why.contains("of x") && error.hint.unwrap().contains("lab destroy x") && image.exists());
        std::fs::remove_dir_all(paths.lab("x").join("nodes")).unwrap();
        discard("plain", &image, &paths).unwrap();
        assert!(!image.exists());
    }
}
