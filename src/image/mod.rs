//! Read-only base disks, built from Debian packages, files and parts of a bundle; addressed by the digest of what went
//! into them. The same tree serves every driver.

mod build;
mod proof;
mod recipe;
mod store;

pub use build::build;
pub use recipe::Recipe;
pub use store::{Image, Manifest, find, list};

use crate::event::Reporter;
use std::path::Path;

/// Where to build and whom to tell.
pub struct Options<'a> {
    /// The images' folder in the cache.
    pub cache: &'a Path,
    pub reporter: &'a Reporter,
}

/// The digest of an image's inputs: recipe, bundle, kind of processor. Debian's packages move inside a suite; the key
/// pins what was asked for, the manifest records the exact versions that came.
pub fn key(recipe: &Recipe, bundle_key: Option<&str>) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(format!("1 {} {recipe:?} {bundle_key:?}", std::env::consts::ARCH).as_bytes());
    hasher.finalize().to_hex()[..16].to_owned()
}
