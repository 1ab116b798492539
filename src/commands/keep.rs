//! The keeper of container nodes: the lab's background process. `up` starts it and tells it of each node it starts.

use super::up::specs;
use crate::driver::container::{self, Container};
use crate::driver::{Forward, NodeSpec};
use crate::error::{Context, Result};
use crate::event::Reporter;
use crate::paths::Paths;
use crate::state::record::LabRecord;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;

/// Starts the keeper of a lab, unless it runs.
pub async fn spawn(lab: &str, run: &Path) -> Result<()> {
    let keeper = container::keeper(run);
    if keeper.find().is_some() {
        return Ok(());
    }
    let exe = std::env::current_exe().context(|| "find our own executable")?;
    keeper.spawn(&[exe.as_os_str()], &[lab.to_owned()]).await.map(drop)
}

/// The keeper itself, until it is told to end.
pub async fn keep(lab: &str, paths: &Paths, reporter: &Reporter) -> Result<()> {
    let what = || "listen for signals";
    let mut look = signal(SignalKind::user_defined1()).context(what)?;
    let mut terminate = signal(SignalKind::terminate()).context(what)?;
    // A closed terminal is not its end.
    let _hangup = signal(SignalKind::hangup()).context(what)?;
    let keeper = container::keeper(&paths.lab_run(lab));
    let _held = keeper.begin(&[])?;
    keeper.ready()?;
    let driver = Arc::new(Container::detect(&paths.cache.join("container")).await?);
    let mut kept = JoinSet::new();
    let mut names = BTreeSet::new();
    loop {
        for (spec, ports) in running(lab, paths)? {
            if names.insert(spec.node.name.clone()) {
                kept.spawn(keep_one(Arc::clone(&driver), spec, ports, reporter.clone()));
            }
        }
        tokio::select! {
            _ = look.recv() => {}
            _ = terminate.recv() => return Ok(()),
            Some(ended) = kept.join_next() => {
                // A task that was lost is one that nobody waits for.
                if let Ok(name) = ended {
                    names.remove(&name);
                }
            }
        }
    }
}

/// The nodes that run and their forwarded ports, as the record has them now.
fn running(lab: &str, paths: &Paths) -> Result<Vec<(NodeSpec, Vec<Forward>)>> {
    let Some(record) = LabRecord::load(paths, lab)? else { return Ok(Vec::new()) };
    let runs = specs(&record, paths).into_values().filter(|spec| Container::runs(&spec.place));
    let with_ports = |spec: NodeSpec| {
        let ports = record.forwards.get(&spec.node.name).cloned().unwrap_or_default();
        (spec, ports)
    };
    Ok(runs.map(with_ports).collect())
}

async fn keep_one(driver: Arc<Container>, spec: NodeSpec, ports: Vec<Forward>, reporter: Reporter) -> String {
    let note = |text: String| reporter.note(text);
    match driver.keep(&spec, &ports, note).await {
        Ok(death) => reporter.note(death.to_string()),
        Err(error) => reporter.note(error.to_string()),
    }
    spec.node.name
}
