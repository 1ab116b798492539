//! `lab graph`: the network as it was observed, drawn.

use super::observe::nodes;
use super::{observed, which};
use crate::cli;
use crate::error::{Context, Result};
use crate::event::Reporter;
use crate::observe::Observation;
use crate::observe::explain;
use crate::paths::Paths;
use crate::report::graph::{Stop, Topology, boxes, svg, topology, way};
use crate::ui;

/// Draws on the terminal, or writes a picture.
pub async fn graph(args: cli::Graph, paths: &Paths, reporter: &Reporter) -> Result<String> {
    let lab = which::name(args.named.as_deref().or(args.lab.as_deref()), paths)?;
    let nodes = observed::at(&lab, args.at.as_deref(), |record| nodes(record, &[]), paths, reporter).await?;
    let drawn = topology(&nodes);
    let stops = match (&args.from, &args.to) {
        (Some(from), Some(to)) => between(from, to, &nodes, &drawn)?,
        _ => Vec::new(),
    };
    match &args.svg {
        None => Ok(boxes(&drawn, &stops, ui::stdout_columns())),
        Some(file) => {
            std::fs::write(file, svg(&drawn, &stops)).context(|| format!("write {}", file.display()))?;
            Ok(format!("{}\n", file.display()))
        }
    }
}

/// The way from a pod to another, or to the first endpoint of a service.
fn between(from: &str, to: &str, nodes: &[Observation], drawn: &Topology) -> Result<Vec<Stop>> {
    let cluster = observed::cluster(nodes)?;
    let service = explain::service(to, nodes, cluster, None).ok();
    let backend = service.and_then(|s| s.ports.into_iter().flat_map(|p| p.backends).find_map(|b| b.pod));
    let explained = explain::pod_to_pod(from, backend.as_deref().unwrap_or(to), nodes, cluster)?;
    let uplink = |node: &str| drawn.nodes.iter().find(|n| n.name == node).and_then(|n| n.uplink.clone());
    Ok(way(&explained.there, &explained.to, &uplink))
}
