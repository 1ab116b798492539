//! The end of `up`: the lab's expectations held against what is there, and remembered.

use super::check::{evidence, hold, shown};
use crate::error::{Context, Error, Result};
use crate::event::{Event, Reporter};
use crate::paths::Paths;
use crate::state::journal::{Journal, What};
use crate::state::record::LabRecord;
use crate::state::write;
use std::path::PathBuf;
use std::time::Instant;

/// The name under which the journal remembers the checks.
const TASK: &str = "checks";

fn file(record: &LabRecord, paths: &Paths) -> PathBuf {
    paths.lab(&record.lab.name).join("checks.txt")
}

/// Holds the checks unless they held after the last thing that was done.
///
/// # Errors
/// Some do not hold: which, with the evidence.
pub async fn prove(record: &LabRecord, paths: &Paths, reporter: &Reporter) -> Result<()> {
    let lab = &record.lab;
    if lab.checks.is_empty() {
        return Ok(());
    }
    let mut journal = Journal::open(&paths.lab(&lab.name).join("journal"))?;
    let text = serde_json::to_vec(&lab.checks).context(|| "name the checks".to_owned())?;
    let key = blake3::hash(&text).to_hex().to_string();
    let last = journal.records().last();
    if last.is_some_and(|r| r.task == TASK && r.key == key && r.what == What::Done) && file(record, paths).exists() {
        return Ok(());
    }
    let (task, title) = (TASK.to_owned(), format!("{} checks", lab.checks.len()));
    reporter.send(Event::Started { task: task.clone(), node: None, title: title.clone() });
    let begun = Instant::now();
    journal.append(TASK, &key, What::Started)?;
    let results = hold(record, paths, reporter).await?;
    write::atomically(&file(record, paths), shown(&results, false).as_bytes(), 0o600)?;
    let failed = results.iter().filter(|r| !r.passed).count();
    journal.append(TASK, &key, if failed == 0 { What::Done } else { What::Failed })?;
    if failed == 0 {
        let millis = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        reporter.send(Event::Finished { task, node: None, title, millis });
        return Ok(());
    }
    let what = format!("see that {} is as its lab file says", lab.name);
    let bad: Vec<_> = results.into_iter().filter(|r| !r.passed).collect();
    let why = format!("{failed} of {} checks do not hold\n{}", lab.checks.len(), evidence(&bad, false));
    reporter.send(Event::Failed { task, node: None, title, why: format!("{failed} do not hold") });
    Err(Error::failed(what, why.trim_end()).hint(format!("`lab check {}` holds them again, the nodes stay", lab.name)))
}

/// What the checks showed when they were last held.
pub fn kept(record: &LabRecord, paths: &Paths) -> Option<String> {
    std::fs::read_to_string(file(record, paths)).ok()
}
