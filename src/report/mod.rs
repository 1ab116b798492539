//! What was seen, as pictures and as one document. Pure: text out of observations.

mod compose;
pub mod document;
pub mod graph;
mod html;
mod markdown;

pub use compose::{Report, compose};
pub use html::html;
pub use markdown::markdown;
