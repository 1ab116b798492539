//! Container images from static programs, in one OCI layout (image-spec 1.1). Uncompressed layers with fixed times and
//! owners, so that the same programs make the same digests.

use super::cache::CachedPart;
use super::produce::EPOCH;
use super::recipe::ImageRecipe;
use crate::error::{Context, Error, Result};
use oci_spec::image::{
    Arch, ConfigBuilder, DescriptorBuilder, ImageConfigurationBuilder, ImageIndexBuilder, ImageManifestBuilder,
    MediaType, Os, RootFsBuilder, Sha256Digest,
};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The annotation by which containerd names what it imports.
const NAME: &str = "io.containerd.image.name";

/// Writes the layout to `out`; returns a line per image.
pub fn assemble(images: &[ImageRecipe], parts: &BTreeMap<String, CachedPart>, out: &Path) -> Result<Vec<String>> {
    let blobs = out.join("blobs/sha256");
    std::fs::create_dir_all(&blobs).context(|| format!("make {}", blobs.display()))?;
    let mut layout = Layout { blobs, bases: HashMap::new() };
    let mut descriptors = Vec::new();
    let mut lines = Vec::new();
    for image in images {
        descriptors.push(layout.image(image, parts)?);
        let stands = image.stands_for.as_ref().map(|s| format!(" ({s})")).unwrap_or_default();
        lines.push(format!("{}{stands}", image.name));
    }
    let index = ImageIndexBuilder::default().schema_version(2u32).manifests(descriptors).build().context(what)?;
    let text = index.to_string().context(what)?;
    std::fs::write(out.join("index.json"), text).context(what)?;
    std::fs::write(out.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).context(what)?;
    Ok(lines)
}

fn what() -> String {
    "assemble the container images".to_owned()
}

struct Blob {
    digest: Sha256Digest,
    size: u64,
}

struct Layout {
    blobs: PathBuf,
    /// Base layers that are there already, by part.
    bases: HashMap<String, Blob>,
}

impl Layout {
    fn image(
        &mut self,
        image: &ImageRecipe,
        parts: &BTreeMap<String, CachedPart>,
    ) -> Result<oci_spec::image::Descriptor> {
        let mut layers = Vec::new();
        if let Some(base) = &image.base {
            if !self.bases.contains_key(base) {
                let path = file(parts, &format!("{base}/base.tar"))?;
                let blob = self.store(|to| std::fs::copy(path, to).map(drop))?;
                self.bases.insert(base.clone(), blob);
            }
            let blob = &self.bases[base];
            layers.push(Blob { digest: blob.digest.clone(), size: blob.size });
        }
        if !image.files.is_empty() {
            let files: Result<Vec<(&str, PathBuf)>> =
                image.files.iter().map(|(path, from)| Ok((path.as_str(), file(parts, from)?))).collect();
            let files = files?;
            layers.push(self.store(|to| write_layer(&files, to))?);
        }
        let diff_ids: Vec<String> = layers.iter().map(|l| format!("sha256:{}", l.digest)).collect();
        let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned();
        let env: Vec<String> = std::iter::once(path).chain(image.env.clone()).collect();
        let mut config = ConfigBuilder::default().env(env);
        if !image.entrypoint.is_empty() {
            config = config.entrypoint(image.entrypoint.clone());
        }
        let rootfs = RootFsBuilder::default().typ("layers").diff_ids(diff_ids).build().context(what)?;
        let configuration = ImageConfigurationBuilder::default()
            .architecture(arch())
            .os(Os::Linux)
            .config(config.build().context(what)?)
            .rootfs(rootfs)
            .build()
            .context(what)?;
        let text = configuration.to_string().context(what)?;
        let config = self.store(|to| std::fs::write(to, &text))?;
        let describe = |kind: MediaType, blob: &Blob| {
            DescriptorBuilder::default()
                .media_type(kind)
                .digest(blob.digest.clone())
                .size(blob.size)
                .build()
                .context(what)
        };
        let layers: Result<Vec<_>> = layers.iter().map(|l| describe(MediaType::ImageLayer, l)).collect();
        let manifest = ImageManifestBuilder::default()
            .schema_version(2u32)
            .media_type(MediaType::ImageManifest)
            .config(describe(MediaType::ImageConfig, &config)?)
            .layers(layers?)
            .build()
            .context(what)?;
        let text = manifest.to_string().context(what)?;
        let blob = self.store(|to| std::fs::write(to, &text))?;
        DescriptorBuilder::default()
            .media_type(MediaType::ImageManifest)
            .digest(blob.digest)
            .size(blob.size)
            .annotations(HashMap::from([(NAME.to_owned(), image.name.clone())]))
            .build()
            .context(what)
    }

    /// Writes a blob and names it by its digest.
    fn store(&self, write: impl FnOnce(&Path) -> std::io::Result<()>) -> Result<Blob> {
        let temporary = self.blobs.join(".new");
        write(&temporary).context(what)?;
        let (hex, size) = super::manifest::sha256(&temporary)?;
        std::fs::rename(&temporary, self.blobs.join(&hex)).context(what)?;
        Ok(Blob { digest: Sha256Digest::from_str(&hex).context(what)?, size })
    }
}

fn arch() -> Arch {
    if cfg!(target_arch = "aarch64") { Arch::ARM64 } else { Arch::Amd64 }
}

fn file(parts: &BTreeMap<String, CachedPart>, from: &str) -> Result<PathBuf> {
    let (part, name) = from.split_once('/').unwrap_or((from, ""));
    let found = parts.get(part).filter(|p| p.record.files.iter().any(|f| f.name == name));
    let missing = || Error::failed(what(), format!("the part `{part}` has no file `{name}`"));
    found.map(|p| p.dir.join(name)).ok_or_else(missing)
}

/// A layer with these files, all executable, owned by root, at a fixed time; missing folders are added.
fn write_layer(files: &[(&str, PathBuf)], to: &Path) -> std::io::Result<()> {
    let mtime: u64 = EPOCH.parse().unwrap_or_default();
    let mut tar = tar::Builder::new(std::fs::File::create(to)?);
    let mut folders = std::collections::BTreeSet::new();
    let mut sorted = files.to_vec();
    sorted.sort();
    for (path, from) in sorted {
        let path = path.trim_start_matches('/');
        let mut above: Vec<&Path> = Path::new(path).ancestors().skip(1).filter(|p| !p.as_os_str().is_empty()).collect();
        above.reverse();
        for folder in above {
            if folders.insert(folder.to_owned()) {
                let mut header = header(mtime, 0o755, 0);
                header.set_entry_type(tar::EntryType::Directory);
                tar.append_data(&mut header, format!("{}/", folder.display()), std::io::empty())?;
            }
        }
        let content = std::fs::File::open(&from)?;
        let mut header = header(mtime, 0o755, content.metadata()?.len());
        tar.append_data(&mut header, path, content)?;
    }
    tar.into_inner()?.sync_all()
}

fn header(mtime: u64, mode: u32, size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_mtime(mtime);
    header.set_mode(mode);
    header.set_size(size);
    header.set_uid(0);
    header.set_gid(0);
    header
}

#[cfg(test)]
mod tests {
    use super::super::cache;
    use super::super::sha256;
    use super::*;

    fn parts(dir: &Path) -> BTreeMap<String, CachedPart> {
        let built = cache::begin(dir).unwrap();
        std::fs::write(built.path().join("a"), b"program").unwrap();
        std::fs::write(built.path().join("base.tar"), b"base").unwrap();
        BTreeMap::from([("tool".to_owned(), cache::finish(dir, "tool", "k", built, Vec::new()).unwrap())])
    }

    fn image(name: &str) -> ImageRecipe {
        ImageRecipe {
            name: name.into(),
            base: Some("tool".into()),
            files: vec![("/usr/bin/a".into(), "tool/a".into())],
            entrypoint: vec!["/usr/bin/a".into()],
            env: Vec::new(),
            stands_for: None,
        }
    }

    #[test]
    fn a_layout_names_its_images_and_is_the_same_twice() {
        let dir = tempfile::tempdir().unwrap();
        let parts = parts(dir.path());
        let images = [image("r/a:1"), image("r/b:2")];
        let index = |out: &str| {
            let out = dir.path().join(out);
            assemble(&images, &parts, &out).unwrap();
            std::fs::read_to_string(out.join("index.json")).unwrap()
        };
        let first = index("one");
        assert!(first.contains(r#""io.containerd.image.name":"r/b:2""#), "{first}");
        assert_eq!(first, index("two"));
        let layer = sha256(&dir.path().join("tool-k/base.tar")).unwrap().0;
        let blobs = std::fs::read_dir(dir.path().join("one/blobs/sha256")).unwrap();
        let texts: Vec<String> =
            blobs.map(|b| String::from_utf8_lossy(&std::fs::read(b.unwrap().path()).unwrap()).into()).collect();
        let named = format!(r#""diff_ids":["sha256:{layer}""#);
        assert!(texts.iter().any(|t| t.contains(&named)), "a config names its layers with the algorithm");
        // Two images of the same content are one manifest, one config, two layers.
        assert_eq!(std::fs::read_dir(dir.path().join("one/blobs/sha256")).unwrap().count(), 4);
    }

    #[test]
    fn a_missing_file_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let mut wrong = image("r/a:1");
        wrong.files[0].1 = "tool/nope".into();
        let error = assemble(&[wrong], &parts(dir.path()), &dir.path().join("o")).unwrap_err();
        assert!(error.why.contains("`tool` has no file `nope`"), "{error}");
    }
}
