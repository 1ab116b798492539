//! `lab report`: everything that was seen, in one file.

use super::{observed, proof, which};
use crate::cli;
use crate::error::{Context, Result};
use crate::paths::Paths;
use crate::report::{Report, compose, html, markdown};
use crate::state::record::LabRecord;

/// Writes the report, from observations that are kept; the lab need not run, nor exist any more.
pub fn report(args: cli::Report, paths: &Paths) -> Result<String> {
    let lab = which::name(args.named.as_deref().or(args.lab.as_deref()), paths)?;
    let before = observed::kept(&lab, &args.before, paths)?;
    let after = observed::kept(&lab, &args.after, paths)?;
    let latest = || observed::names(&lab, paths).pop().map(|(name, _)| name);
    let at = args.at.clone().or_else(latest).unwrap_or_else(|| args.after.clone());
    let services = observed::kept(&lab, &at, paths)?;
    let record = LabRecord::load(paths, &lab).ok().flatten();
    let checks = record.as_ref().and_then(|r| proof::kept(r, paths));
    let blocks = compose(&Report {
        lab: &lab,
        title: record.as_ref().map_or(lab.as_str(), |r| r.lab.title.as_str()),
        driver: record.as_ref().map_or("", |r| r.driver.as_str()),
        before: (&args.before, &before),
        after: (&args.after, &after),
        services: (&at, &services),
        checks: checks.as_deref(),
    });
    let (file, text) = match (&args.html, &args.markdown) {
        (Some(file), _) => (file, html(&blocks)),
        (_, Some(file)) => (file, markdown(&blocks)),
        _ => return Ok(markdown(&blocks)),
    };
    std::fs::write(file, text).context(|| format!("write {}", file.display()))?;
    Ok(format!("{}\n", file.display()))
}
