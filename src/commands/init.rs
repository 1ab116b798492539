//! `lab init`: a lab file to begin with.

use super::which;
use crate::cli;
use crate::embedded;
use crate::error::{Context, Error, Result};
use crate::lab::name_problem;
use crate::lab::schema::{File, schema};
use crate::state::write;
use std::path::Path;

const FILE: &str = "lab.yaml";
/// Editors with a YAML language server read it: keys complete, and each says what it means.
const SCHEMA: &str = ".lab.schema.json";

/// Writes `lab.yaml` into this folder.
pub fn init(args: &cli::Init) -> Result<String> {
    let name = match &args.name {
        Some(name) => name.clone(),
        None => here()?,
    };
    let what = || format!("begin the lab {name}");
    if let Some(why) = name_problem(&name) {
        return Err(Error::input(what(), why).hint("lab init my-lab"));
    }
    if Path::new(FILE).exists() && !args.force {
        let hint = "`lab init --force` writes over it";
        return Err(Error::input(what(), format!("there is a {FILE} in this folder")).hint(hint));
    }
    let text = match &args.from {
        Some(from) => copy(from, &name)?,
        None => {
            let (_, text) = embedded::template("lab.yaml")
                .ok_or_else(|| Error::failed(what(), "this `lab` carries no template of a lab file"))?;
            text.replacen("lab: NAME", &format!("lab: {name}"), 1)
        }
    };
    let text = format!("# yaml-language-server: $schema={SCHEMA}\n{text}");
    let schema = format!("{:#}\n", schema(File::Lab));
    for (file, text) in [(SCHEMA, schema), (FILE, text)] {
        write::atomically(&Path::new(".").join(file), text.as_bytes(), 0o644)?;
    }
    Ok(format!(
        "{FILE}: the lab {name}, which runs as it is; change it step by step\n{SCHEMA}: with it editors complete the lab \
         file\n\nNext:\n  lab validate\n  lab plan\n  lab up\n"
    ))
}

/// The lab file of a lab in the box, under another name.
fn copy(from: &str, name: &str) -> Result<String> {
    let labs = embedded::labs();
    let found = labs.iter().find(|(n, _)| n == from);
    let (_, text) = found.ok_or_else(|| {
        let known: Vec<&str> = labs.iter().map(|(n, _)| n.as_str()).collect();
        let error = Error::input(format!("copy the lab {from}"), format!("the box has {}", known.join(", ")));
        which::near(error, from, known)
    })?;
    Ok(text.replacen(&format!("lab: {from}\n"), &format!("lab: {name}\n"), 1))
}

/// A lab's name from this folder's.
fn here() -> Result<String> {
    let dir = std::env::current_dir().context(|| "look at this folder".to_owned())?;
    let name = dir.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let fit = |c: char| if c.is_ascii_lowercase() || c.is_ascii_digit() { c } else { '-' };
    let name: String = name.chars().map(fit).take(40).collect();
    let name = name.trim_matches('-');
    Ok(if name.is_empty() { "my-lab".to_owned() } else { name.to_owned() })
}
