//! A document before it is Markdown or HTML.

/// A part of a document, in reading order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Block {
    /// 1 is the title.
    Heading(u8, String),
    Text(String),
    /// What a command prints.
    Code(String),
    /// A command that the reader can type on a node, with what it prints where that is known.
    Command {
        node: String,
        command: String,
        prints: Option<String>,
    },
    /// Lines that start with `+`, `-` or `!`.
    Diff(String),
    Table {
        titles: Vec<String>,
        rows: Vec<Vec<String>>,
    },
    /// A picture as SVG, and what stands for it where there are no pictures.
    Picture {
        svg: String,
        text: String,
    },
    /// Blocks that are folded away at first.
    Fold(String, Vec<Block>),
}

/// A text as a block.
pub fn text(text: impl Into<String>) -> Block {
    Block::Text(text.into())
}

/// A heading as a block.
pub fn heading(level: u8, text: impl Into<String>) -> Block {
    Block::Heading(level, text.into())
}
