//! `lab halt`: all nodes power off, at the same time; their disks stay. `lab up` starts them again.

use super::drivers::open;
use super::which;
use crate::cli;
use crate::driver::{Driver, NodeState, Stop, container};
use crate::error::{Error, Result};
use crate::event::{Event, Reporter};
use crate::network;
use crate::paths::Paths;
use crate::state::lock;
use crate::state::record::place;
use std::sync::Arc;
use std::time::Instant;
use tokio::task::JoinSet;

/// Stops the lab that is meant.
pub async fn halt(args: cli::Which, paths: &Paths, reporter: &Reporter) -> Result<String> {
    let begun = Instant::now();
    let record = which::record(args.lab.as_deref(), paths)?;
    let name = &record.lab.name;
    let _lock = lock::acquire(&paths.lab(name).join("lock"), name)?;
    let driver = Arc::new(open(&record.driver, &record.image, paths).await?);
    let run = paths.lab_run(name);
    // First: it would tell of nodes that die.
    container::keeper(&run).stop().await?;
    let mut stops = JoinSet::new();
    for node in &record.lab.nodes {
        let (driver, place, reporter) = (Arc::clone(&driver), place(paths, name, &node.name), reporter.clone());
        stops.spawn(async move { stop(&*driver, &place, &reporter).await });
    }
    let mut problems = Vec::new();
    let mut stopped = 0;
    while let Some(ended) = stops.join_next().await {
        match ended.unwrap_or_else(|e| Err(Error::failed("stop a node", e))) {
            Ok(ran) => stopped += usize::from(ran),
            Err(error) => problems.push(error),
        }
    }
    network::process::stop(&run).await?;
    if let Some(first) = problems.into_iter().next() {
        return Err(first.hint(format!("the other nodes are stopped; `lab destroy {name}` removes all")));
    }
    let nodes = if stopped == 1 { "1 node".to_owned() } else { format!("{stopped} nodes") };
    let time = crate::ui::duration(u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX));
    Ok(format!("{name}: halted ({nodes}), in {time}; `lab up {name}` starts it again\n"))
}

/// Stops one node; whether it ran.
async fn stop<D: Driver>(driver: &D, place: &crate::driver::Place, reporter: &Reporter) -> Result<bool> {
    let ran = matches!(driver.inspect(place).await, Ok(NodeState::Running(_)));
    let (task, node, title) = (format!("halt {}", place.node), Some(place.node.clone()), "halt".to_owned());
    let begun = Instant::now();
    if ran {
        reporter.send(Event::Started { task: task.clone(), node: node.clone(), title: title.clone() });
    }
    // Also one that does not run: what is left of it goes.
    let done = driver.stop(place, Stop::Graceful).await;
    let millis = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    match &done {
        Ok(()) if ran => reporter.send(Event::Finished { task, node, title, millis }),
        Ok(()) => {}
        Err(error) => reporter.send(Event::Failed { task, node, title, why: error.why.clone() }),
    }
    done.map(|()| ran)
}
