//! Observations for verbs: taken now, or kept from a step or an earlier `lab observe`.

use super::reach::running_in;
use super::which;
use crate::error::{Context, Error, Result};
use crate::event::Reporter;
use crate::executor::{self, take_observation, wanted_observation};
use crate::lab::model::Lab;
use crate::observe::capture::Wanted;
use crate::observe::{Cluster, Observation, capture};
use crate::paths::Paths;
use crate::state::record::LabRecord;
use futures_util::future::join_all;
use std::path::Path;
use std::time::SystemTime;

/// What was seen of a lab's nodes.
pub struct Seen {
    pub nodes: Vec<Observation>,
    /// Each node's own words, by node, as they are kept.
    pub texts: Vec<(String, String)>,
    /// Why nodes could not be observed.
    pub failed: Vec<Error>,
}

impl Seen {
    /// The cluster's objects.
    ///
    /// # Errors
    /// No node that was observed could ask for them, and why.
    pub fn cluster(&self) -> Result<&Cluster> {
        cluster(&self.nodes)
    }
}

/// The cluster's objects in these observations.
///
/// # Errors
/// None of them has any, and why.
pub fn cluster(nodes: &[Observation]) -> Result<&Cluster> {
    let found = nodes.iter().find_map(|n| n.cluster.as_ref());
    found.ok_or_else(|| {
        let asked = nodes.iter().find(|n| n.failed.contains_key("cluster"));
        let said = |n: &Observation| {
            let notes = n.notes.iter().filter(|note| note.section == "cluster");
            format!(
                "{} could not ask for them: {}",
                n.node,
                notes.map(|n| n.text.as_str()).collect::<Vec<_>>().join("; ")
            )
        };
        let why = asked.map_or_else(|| "no node that was observed has access to the cluster".to_owned(), said);
        let hint = "the lab file's `exports: kubeconfig` says which node has access";
        Error::failed("read the cluster's objects", why).hint(hint)
    })
}

/// The observation that is kept under a name; without one, that of the nodes which `pick` names, taken now. Nodes that
/// could not be observed are told.
pub async fn at(
    lab: &str,
    name: Option<&str>,
    pick: impl FnOnce(&LabRecord) -> Result<Vec<String>>,
    paths: &Paths,
    reporter: &Reporter,
) -> Result<Vec<Observation>> {
    if let Some(name) = name {
        return kept(lab, name, paths);
    }
    let record = which::record(Some(lab), paths)?;
    let seen = now(&record, &pick(&record)?, false, paths).await?;
    seen.failed.iter().for_each(|e| reporter.note(e.to_string()));
    Ok(seen.nodes)
}

/// The node of a lab that has access to its cluster.
pub fn with_access(lab: &Lab) -> Option<&str> {
    lab.nodes.iter().map(|n| n.name.as_str()).find(|node| wanted_observation(lab, node).cluster.is_some())
}

/// The cluster's objects as they are now.
///
/// # Errors
/// No node of the lab has access to them, or it does not answer.
pub async fn cluster_now(record: &LabRecord, paths: &Paths) -> Result<Cluster> {
    let nodes: Vec<String> = with_access(&record.lab).map(str::to_owned).into_iter().collect();
    let seen = now(record, &nodes, false, paths).await?;
    match seen.failed.first() {
        Some(error) => Err(error.clone()),
        None => seen.cluster().cloned(),
    }
}

/// Observes these nodes now, all at once. A node that does not answer is told in `failed`.
pub async fn now(record: &LabRecord, nodes: &[String], connections: bool, paths: &Paths) -> Result<Seen> {
    let one = |node: String| async move {
        let remote = running_in(record.clone(), &node, paths).await?.login().await?;
        let wanted = Wanted { connections, ..wanted_observation(&record.lab, &node) };
        let text = take_observation(&remote, &node, &wanted).await?;
        Ok((node, text))
    };
    let mut seen = Seen { nodes: Vec::new(), texts: Vec::new(), failed: Vec::new() };
    for result in join_all(nodes.iter().cloned().map(one)).await {
        match result {
            Ok((node, text)) => {
                seen.nodes.push(capture::parse(&node, &text));
                seen.texts.push((node, text));
            }
            Err(error) => seen.failed.push(error),
        }
    }
    Ok(seen)
}

/// The observation that was kept under a name, of all its nodes, in the lab's order where the lab still exists.
///
/// # Errors
/// There is none of this name.
pub fn kept(lab: &str, name: &str, paths: &Paths) -> Result<Vec<Observation>> {
    let folder = executor::observation(&paths.lab(lab), name);
    let mut nodes = Vec::new();
    for (node, path) in files(&folder) {
        let text = std::fs::read_to_string(&path).context(|| format!("read {}", path.display()))?;
        nodes.push(capture::parse(&node, &text));
    }
    if nodes.is_empty() {
        let known: Vec<String> = names(lab, paths).into_iter().map(|(n, _)| n).collect();
        let all = if known.is_empty() { "none was taken yet".to_owned() } else { known.join(", ") };
        let hint = format!("`lab observe --name {name} --lab {lab}` takes one; there are: {all}");
        let error = Error::input(format!("use the observation {name}"), "there is none of this name").hint(hint);
        return Err(which::near(error, name, known.iter().map(String::as_str)));
    }
    if let Ok(Some(record)) = LabRecord::load(paths, lab) {
        let place = |o: &Observation| record.lab.nodes.iter().position(|n| n.name == o.node);
        nodes.sort_by_key(|o| place(o).unwrap_or(usize::MAX));
    }
    Ok(nodes)
}

/// The names of a lab's observations with the time of each, the oldest first.
pub fn names(lab: &str, paths: &Paths) -> Vec<(String, SystemTime)> {
    let entries = std::fs::read_dir(paths.lab(lab).join("observations")).into_iter().flatten().flatten();
    let time = |path: &Path| {
        let times = files(path).into_iter().filter_map(|(_, f)| f.metadata().ok()?.modified().ok());
        times.min()
    };
    let named = |e: std::fs::DirEntry| Some((e.file_name().into_string().ok()?, time(&e.path())?));
    let mut all: Vec<_> = entries.filter_map(named).collect();
    all.sort_by_key(|(name, time)| (*time, name.clone()));
    all
}

fn files(folder: &Path) -> Vec<(String, std::path::PathBuf)> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.path());
    let text = entries.filter(|p| p.extension().is_some_and(|e| e == "txt"));
    let mut all: Vec<_> = text.filter_map(|p| Some((p.file_stem()?.to_str()?.to_owned(), p.clone()))).collect();
    all.sort();
    all
}
