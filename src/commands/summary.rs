//! What `up` shows at its end: the nodes, what the network plugin added, what to try next.

use crate::error::Result;
use crate::executor;
use crate::lab::model::Lab;
use crate::observe::{capture, diff};
use crate::paths::Paths;
use crate::state::record::LabRecord;
use crate::ui::table;

/// The summary of a lab that is up.
pub fn summary(record: &LabRecord, paths: &Paths) -> Result<String> {
    let lab = &record.lab;
    let rows: Vec<Vec<String>> = lab
        .nodes
        .iter()
        .map(|n| {
            vec![
                n.name.clone(),
                n.address().map_or("-".into(), |a| a.to_string()),
                n.cpus.to_string(),
                format!("{} MiB", n.memory >> 20),
            ]
        })
        .collect();
    let mut out = format!("\n{}\n\n{}", lab.title, table(&["NODE", "ADDRESS", "CPUS", "MEMORY"], &rows));
    let dir = paths.lab(&lab.name);
    let read = |name: &str, node: &str| {
        let text = std::fs::read_to_string(executor::observation(&dir, name).join(format!("{node}.txt"))).ok()?;
        Some(capture::parse(node, &text))
    };
    let captured: Vec<_> =
        lab.nodes.iter().filter_map(|n| Some((read("before", &n.name)?, read("after", &n.name)?))).collect();
    if !captured.is_empty() {
        let pairs: Vec<_> = captured.iter().map(|(before, after)| (before, after)).collect();
        out += &format!("\nWhat the network plugin added, from `before` to `after`:\n{}", diff::summary(&pairs));
        out += &format!("the captures: {}\n", dir.join("observations").display());
    }
    if let Some(checks) = super::proof::kept(record, paths) {
        out += &format!("\n{checks}");
    }
    Ok(out)
}

/// Three commands that a user may want now, each to be pasted as it is.
pub fn next(lab: &Lab) -> String {
    let first = lab.nodes.first().map_or("", |n| n.name.as_str());
    let middle = match lab.exports.contains_key("kubeconfig") {
        true => "lab kubeconfig --merge",
        false => "lab status",
    };
    format!("  lab ssh {first}\n  {middle} {0}\n  lab destroy {0}\n", lab.name)
}
