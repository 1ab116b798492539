//! What `up` shows at its end: the nodes, what was added to their networks, what to try next.

use super::{reach, which};
use crate::executor;
use crate::lab::model::Lab;
use crate::observe::capture;
use crate::observe::diff::{self, Summary};
use crate::paths::Paths;
use crate::state::record::LabRecord;
use crate::ui::table;

/// The summary of a lab that is up; what was added only where something was done just now (`ran`).
pub fn summary(record: &LabRecord, ran: bool, paths: &Paths) -> String {
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
    let pairs: Vec<_> = captured.iter().filter(|_| ran).map(|(before, after)| (before, after)).collect();
    if let Some(Summary { by_plugin, text }) = diff::summary(&pairs) {
        let what = if by_plugin { "What the network plugin added" } else { "What was added to the nodes' networks" };
        let all = format!("lab diff before after{}", which::option(&lab.name, paths));
        out += &format!("\n{what}, from `before` to `after` (`{all}` shows all):\n{text}");
    }
    if let Some(checks) = super::proof::kept(record, paths) {
        // Their evidence is indented; it is long, and `check` shows it.
        let names = checks.lines().filter(|l| !l.starts_with(' ')).collect::<Vec<_>>().join("\n");
        out += &format!("\n{names}; `lab check{}` shows what was seen\n", which::word(&lab.name, paths));
    }
    out
}

/// Three commands that a user may want now, each to be pasted as it is.
pub fn next(lab: &Lab, paths: &Paths) -> String {
    let first = lab.nodes.first().map_or("", |n| n.name.as_str());
    let of_lab = match reach::lab_of(first, None, paths) {
        Ok(record) if record.lab.name == lab.name => String::new(),
        // Another lab has a node of this name, too.
        _ => format!(" --lab {}", lab.name),
    };
    let middle = match lab.exports.contains_key("kubeconfig") {
        true => "lab kubeconfig --merge",
        false => "lab status",
    };
    format!("  lab ssh {first}{of_lab}\n  {middle} {0}\n  lab destroy {0}\n", lab.name)
}
