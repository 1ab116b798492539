//! Verbs that a lab file names: programs of the bundle, run here, pointed at the lab.

use super::{exports, images, which};
use crate::cli;
use crate::embedded;
use crate::error::{Error, Result};
use crate::paths::Paths;
use crate::state::record::LabRecord;
use crate::yaml::closest;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Becomes the program; comes back only when it cannot.
pub async fn tool(words: &[OsString], lab: Option<&str>, paths: &Paths) -> Result<Error> {
    let (verb, args) = words.split_first().ok_or_else(|| Error::input("run", "there is no verb"))?;
    let verb = verb.to_string_lossy();
    let record = record(&verb, lab, paths)?;
    let tool = &record.lab.tools[&*verb];
    let program =
        images::program(&images::Wanted::of(&record.lab.image, record.file.as_deref()), &tool.program, paths)?;
    let mut command = Command::new(&program);
    command.args(args);
    for (variable, export) in &tool.env {
        command.env(variable, exports::file(&record, export, paths).await?);
    }
    Ok(Error::failed(format!("run {}", program.display()), command.exec()))
}

/// The lab whose tool is meant: the one named, the one meant here, else the only one that has it.
fn record(verb: &str, lab: Option<&str>, paths: &Paths) -> Result<LabRecord> {
    let has = |record: &LabRecord| record.lab.tools.contains_key(verb);
    if lab.is_some() {
        let record = which::record(lab, paths)?;
        return if has(&record) { Ok(record) } else { Err(unknown(verb, std::slice::from_ref(&record), paths)) };
    }
    let (all, mut with) = which::having(has, paths);
    match (with.pop(), with.pop()) {
        (Some(record), None) => Ok(record),
        (Some(one), Some(other)) => {
            let why = format!("several labs have it: {}, {}", other.lab.name, one.lab.name);
            let hint = format!("name the lab: lab --lab {} {verb} ...", other.lab.name);
            Err(Error::input(format!("run {verb}"), why).hint(hint))
        }
        (None, _) => Err(unknown(verb, &all, paths)),
    }
}

/// No verb and no tool: probably mistyped, or the lab that has it is not up.
fn unknown(verb: &str, labs: &[LabRecord], paths: &Paths) -> Error {
    let what = format!("run `lab {verb}`");
    let tools: Vec<&str> = labs.iter().flat_map(|r| r.lab.tools.keys().map(String::as_str)).collect();
    let verbs = cli::verbs();
    let near = closest(verb, verbs.iter().map(String::as_str).chain(tools.iter().copied()));
    if let Some(near) = near {
        return Error::input(what, "there is no such verb").hint(format!("did you mean `lab {near}`?"));
    }
    let boxed = embedded::labs().into_iter().filter_map(|(name, _)| which::find(Some(&name), &[], paths).ok());
    match boxed.map(|found| found.lab).find(|lab| lab.tools.contains_key(verb)).map(|lab| lab.name) {
        Some(lab) => Error::input(what, format!("it is a tool of the lab {lab}, which does not exist"))
            .hint(format!("lab up {lab}")),
        None => Error::input(what, "there is no such verb, and no lab that exists has such a tool").hint("lab --help"),
    }
}
