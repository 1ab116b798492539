//! `lab schema`: what a lab file may say, for editors.

use crate::cli;
use crate::lab::schema::{self, File};

/// The JSON Schema of a file.
pub fn schema(args: &cli::Schema) -> String {
    let file = match args.file {
        cli::SchemaOf::Lab => File::Lab,
        cli::SchemaOf::Composite => File::Composite,
        cli::SchemaOf::Probe => File::Probe,
    };
    format!("{:#}\n", schema::schema(file))
}
