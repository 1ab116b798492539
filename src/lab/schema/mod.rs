//! The lab file as a JSON Schema and as a page of the reference, from one table.

mod json;
mod page;
mod table;

pub use json::schema;
pub use page::page;

use super::types::Type;

/// Which file a schema is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum File {
    Lab,
    Composite,
    Probe,
}

impl File {
    fn object(self) -> &'static Object {
        match self {
            Self::Lab => &table::LAB,
            Self::Composite => &table::COMPOSITE,
            Self::Probe => &table::NAMED_PROBE,
        }
    }
}

/// A mapping.
struct Object {
    /// Its name in the schema.
    id: &'static str,
    /// What messages call it.
    what: &'static str,
    about: &'static str,
    keys: &'static [Key],
}

/// One key of a mapping.
struct Key {
    name: &'static str,
    required: bool,
    shape: Shape,
    about: &'static str,
}

/// What a value may be.
enum Shape {
    /// Any single value.
    Text,
    /// A single value of a form: a regular expression, and what it says in words.
    Like(&'static str, &'static str),
    OneOf(&'static [&'static str]),
    Types(&'static [(&'static str, Type)]),
    Number(u32, u32),
    Flag,
    Nothing,
    /// A text or a list of texts.
    Texts,
    Of(&'static Object),
    ListOf(&'static Object),
    /// Any names, each with a value of this shape.
    MapOf(&'static Shape),
    /// Names of nodes and networks, each with a value of this shape.
    NamedMapOf(&'static Shape),
    /// Languages, each with a text.
    Languages,
    Either(&'static [Shape]),
}

#[cfg(test)]
mod tests;
