//! `lab diff`: what changed between two observations.

use super::observe::as_json;
use super::{Outcome, observed, which};
use crate::cli;
use crate::error::{Error, Result};
use crate::event::Reporter;
use crate::observe::Observation;
use crate::observe::diff::{self, Diff, Options, ignored_rules};
use crate::paths::Paths;
use crate::state::record::LabRecord;

/// Compares node by node. Exit code 0 where nothing differs, 1 where something does, as diff does.
pub async fn diff(args: cli::Diff, coloured: bool, paths: &Paths, reporter: &Reporter) -> Result<Outcome> {
    let lab = which::name(args.lab.as_deref(), paths)?;
    let before = observed::kept(&lab, &args.before, paths)?;
    let same = |_: &LabRecord| Ok(before.iter().map(|o| o.node.clone()).collect());
    let after = observed::at(&lab, args.after.as_deref(), same, paths, reporter).await?;
    let mut diffs = Vec::new();
    for node in &args.node {
        if !before.iter().chain(&after).any(|o| o.node == *node) {
            return Err(Error::input(format!("compare {node}"), "neither observation has such a node"));
        }
    }
    let wanted = |o: &&Observation| args.node.is_empty() || args.node.contains(&o.node);
    for old in before.iter().filter(wanted) {
        match after.iter().find(|o| o.node == old.node) {
            Some(new) => diffs.push(diff::diff(old, new)),
            None => reporter.note(format!("{}: only in `{}`; not compared", old.node, args.before)),
        }
    }
    for new in after.iter().filter(wanted).filter(|n| !before.iter().any(|o| o.node == n.node)) {
        reporter.note(format!("{}: not in `{}`; not compared", new.node, args.before));
    }
    let code = u8::from(diffs.iter().any(|d| !d.is_empty()));
    Ok(Outcome { text: shown(&args, coloured, &diffs)?, code })
}

fn shown(args: &cli::Diff, coloured: bool, diffs: &[Diff]) -> Result<String> {
    if args.json {
        return as_json("diff", &serde_json::json!({"nodes": diffs}));
    }
    let folded = if args.all { Vec::new() } else { Options::default().folded };
    let options = Options { colour: coloured && !args.markdown, folded };
    let render = if args.markdown { diff::markdown } else { diff::text };
    let mut out = diffs.iter().map(|d| render(d, &options)).collect::<Vec<_>>().join("\n");
    if args.explain_ignored {
        out += &ignored(diffs, args.markdown);
    }
    Ok(out)
}

fn ignored(diffs: &[Diff], markdown: bool) -> String {
    let mut out =
        if markdown { "\n## Left out\n\n".to_owned() } else { "\nleft out, because it changes by itself\n".to_owned() };
    for rule in ignored_rules() {
        let count: usize = diffs.iter().filter_map(|d| d.ignored.get(rule.name)).sum();
        let mark = if markdown { "- " } else { "  " };
        out += &format!("{mark}{count:>4}  {}: {}; {}\n", rule.name, rule.what, rule.why);
    }
    out
}
