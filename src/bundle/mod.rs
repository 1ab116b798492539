//! What guests need from the internet, brought as files: parts made by producers, listed in a manifest. Those who use a
//! bundle do not care who made it.

pub(crate) mod bootstrap;
mod build;
mod cache;
pub(crate) mod command;
pub(crate) mod lock;
mod manifest;
mod oci;
mod produce;
mod recipe;

pub use build::{Options, build, find, keys};
pub use command::missing;
pub use manifest::{Bundle, Manifest, Part, PartFile, sha256};
pub use produce::EPOCH;
pub use recipe::Recipe;
