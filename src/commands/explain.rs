//! `lab explain`: proofs from what the nodes say.

use super::observe::{as_json, nodes};
use super::reach::running_in;
use super::{observed, which};
use crate::cli::{self, Subject};
use crate::error::{Error, Result};
use crate::event::Reporter;
use crate::executor::{collect, take_observation};
use crate::observe::capture::Wanted;
use crate::observe::explain::{self, Requests, Sent, ServiceExplanation};
use crate::observe::{Cluster, Observation, capture};
use crate::paths::Paths;
use crate::state::record::LabRecord;
use serde::Serialize;

/// Explains from an observation that is kept, or from one taken now.
pub async fn explain(args: cli::Explain, paths: &Paths, reporter: &Reporter) -> Result<String> {
    let lab = which::name(args.lab.as_deref(), paths)?;
    let pick = |record: &LabRecord| match &args.subject {
        Subject::Route { node, .. } | Subject::Node { node } => nodes(record, std::slice::from_ref(node)),
        _ => nodes(record, &[]),
    };
    let nodes = observed::at(&lab, args.at.as_deref(), pick, paths, reporter).await?;
    let json = args.json;
    match args.subject {
        Subject::Service { name, from, requests } => {
            let cluster = observed::cluster(&nodes)?;
            let explained = explain::service(&name, &nodes, cluster, from.as_deref())?;
            let counted = match requests {
                Some(count) => {
                    let record = which::record(Some(&lab), paths)?;
                    Some(count_requests(&record, &name, count, from.as_deref(), cluster, paths).await?)
                }
                None => None,
            };
            service(&explained, counted.as_ref(), json)
        }
        Subject::Pod { from, to } => {
            let to = other_pod(to)?;
            let way = explain::pod_to_pod(&from, &to, &nodes, observed::cluster(&nodes)?)?;
            if json { as_json("way", &way) } else { Ok(way.render()) }
        }
        Subject::Route { node, address } => {
            let route = explain::route(one(&nodes, &node)?, &address)?;
            if json { as_json("route", &route) } else { Ok(route.render()) }
        }
        Subject::Node { node } => {
            let explained = explain::node(one(&nodes, &node)?);
            if json { as_json("node", &explained) } else { Ok(explained.render()) }
        }
    }
}

/// `B` or `to B`.
fn other_pod(words: Vec<String>) -> Result<String> {
    match words.as_slice() {
        [pod] if pod != "to" => Ok(pod.clone()),
        [to, pod] if to == "to" => Ok(pod.clone()),
        _ => Err(Error::input("explain the way", "it needs two pods").hint("lab explain pod A to B")),
    }
}

fn one<'a>(nodes: &'a [Observation], node: &str) -> Result<&'a Observation> {
    let known = || nodes.iter().map(|n| n.node.as_str()).collect::<Vec<_>>().join(", ");
    let missing = || Error::failed(format!("explain {node}"), format!("it was not observed; there are: {}", known()));
    nodes.iter().find(|n| n.node == node).ok_or_else(missing)
}

/// Connections that were opened to a service, and where the rules counted them.
#[derive(Serialize)]
pub struct Counted {
    pub from: String,
    pub node: String,
    pub sent: Vec<Sent>,
    pub counted: Requests,
}

/// Opens connections from a pod and reads its node's counters before and after.
pub async fn count_requests(
    record: &LabRecord,
    name: &str,
    count: u32,
    from: Option<&str>,
    cluster: &Cluster,
    paths: &Paths,
) -> Result<Counted> {
    let client = explain::client(name, count, from, cluster)?;
    let remote = running_in(record.clone(), &client.node, paths).await?.login().await?;
    // Only the counters are compared: nobody need ask for the cluster's objects again.
    let wanted = Wanted::default();
    let before = take_observation(&remote, &client.node, &wanted).await?;
    let (exit, out, err) = collect(&remote, &client.command, b"").await?;
    let sent = explain::sent(&out);
    if !exit.ok() || sent.is_empty() {
        let why = format!("{}: {}", exit.in_words(), err.trim());
        return Err(Error::failed(format!("open connections from {}", client.from), why).on(&client.node));
    }
    let after = take_observation(&remote, &client.node, &wanted).await?;
    let (before, after) = (capture::parse(&client.node, &before), capture::parse(&client.node, &after));
    let counted = explain::requests(&before, &after, name, cluster)?;
    Ok(Counted { from: client.from, node: client.node, sent, counted })
}

#[derive(Serialize)]
struct ServiceWithCounts<'a> {
    #[serde(flatten)]
    explained: &'a ServiceExplanation,
    requests: Option<&'a Counted>,
}

fn service(explained: &ServiceExplanation, counted: Option<&Counted>, json: bool) -> Result<String> {
    if json {
        return as_json("service", &ServiceWithCounts { explained, requests: counted });
    }
    let mut out = explained.render();
    if let Some(counted) = counted {
        out += &format!("\nconnections from {} on {}\n", counted.from, counted.node);
        for sent in &counted.sent {
            out += &format!("  {}: {} opened, {} failed\n", sent.target, sent.good, sent.bad);
        }
        out += &counted.counted.render();
    }
    Ok(out)
}
