//! What a node's network looks like, and what changed in it. Pure: text in, facts out.

pub mod added;
pub mod capture;
mod owner;

pub use owner::Owner;
