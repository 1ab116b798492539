//! A lab for other tools: its files, made of the lab and its rendered steps. Pure: who calls writes them.

pub mod vagrant;

/// A file of an export.
#[derive(Debug, Clone, PartialEq)]
pub struct File {
    /// Below the export's folder.
    pub path: String,
    pub content: String,
    pub mode: u32,
}

impl File {
    fn new(path: impl Into<String>, content: impl Into<String>, mode: u32) -> Self {
        Self { path: path.into(), content: content.into(), mode }
    }
}
