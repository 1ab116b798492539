//! Arguments of the verbs that look into the network.

use super::complete;
use clap::{Args, Subcommand};
use clap_complete::ArgValueCandidates;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct Observe {
    /// The nodes; all where none is named.
    #[arg(add = ArgValueCandidates::new(complete::nodes))]
    pub nodes: Vec<String>,
    /// The name it is kept under; `lab diff` and the others use it. One of the same name is replaced.
    #[arg(long, default_value = "now")]
    pub name: String,
    /// The lab, where several exist.
    #[arg(long, add = ArgValueCandidates::new(complete::labs))]
    pub lab: Option<String>,
    /// Capture the connections that the kernel tracks, too.
    #[arg(long)]
    pub conntrack: bool,
    /// All of it as JSON.
    #[arg(long)]
    pub json: bool,
    /// Take none, list those that are kept.
    #[arg(long, conflicts_with_all = ["name", "conntrack", "nodes"])]
    pub list: bool,
}

#[derive(Debug, Args)]
pub struct Diff {
    /// The name of an observation.
    #[arg(add = ArgValueCandidates::new(complete::observations))]
    pub before: String,
    /// The name of a later one; without it the nodes are observed now.
    #[arg(add = ArgValueCandidates::new(complete::observations))]
    pub after: Option<String>,
    /// Only these nodes.
    #[arg(long, value_name = "NODE", add = ArgValueCandidates::new(complete::nodes))]
    pub node: Vec<String>,
    /// The lab, where several exist.
    #[arg(long, add = ArgValueCandidates::new(complete::labs))]
    pub lab: Option<String>,
    /// Show the changes of kube-proxy and kubelet, too; else they are only counted.
    #[arg(long)]
    pub all: bool,
    /// As JSON.
    #[arg(long, conflicts_with = "markdown")]
    pub json: bool,
    /// As Markdown, for a note.
    #[arg(long)]
    pub markdown: bool,
    /// Tell what was left out, by which rule and why.
    #[arg(long)]
    pub explain_ignored: bool,
}

#[derive(Debug, Args)]
pub struct Explain {
    #[command(subcommand)]
    pub subject: Subject,
    /// The lab, where several exist.
    #[arg(long, global = true, add = ArgValueCandidates::new(complete::labs))]
    pub lab: Option<String>,
    /// Explain from this observation; without it the nodes are observed now.
    #[arg(long, global = true, value_name = "NAME", add = ArgValueCandidates::new(complete::observations))]
    pub at: Option<String>,
    /// As JSON.
    #[arg(long, global = true)]
    pub json: bool,
}

/// What to explain.
#[derive(Debug, Subcommand)]
pub enum Subject {
    /// How a service's address becomes a pod's: chain by chain, with proofs and shares.
    #[command(after_help = "Examples:\n  lab explain service default/webpod\n  \
                            lab explain service webpod --from curl-pod --requests 200")]
    Service {
        /// NAMESPACE/NAME; without a namespace it is `default`.
        name: String,
        /// Follow only the connections of this pod.
        #[arg(long, value_name = "POD")]
        from: Option<String>,
        /// Open this many connections from the pod (or one that is chosen) and count where they went.
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000), conflicts_with = "at")]
        requests: Option<u32>,
    },
    /// How one pod's packets reach another.
    #[command(after_help = "Example:\n  lab explain pod curl-pod to kube-system/coredns-5d78c9869d-abcde")]
    Pod {
        from: String,
        /// The other pod; a `to` may stand between.
        #[arg(required = true, num_args = 1..=2, value_name = "TO")]
        to: Vec<String>,
    },
    /// Which route a node takes to an address, over all tables.
    Route {
        #[arg(add = ArgValueCandidates::new(complete::nodes))]
        node: String,
        address: String,
    },
    /// Why each link, route and rule of a node is there: who made it.
    Node {
        #[arg(add = ArgValueCandidates::new(complete::nodes))]
        node: String,
    },
}

#[derive(Debug, Args)]
pub struct Check {
    /// The name of a lab, or a lab file. Without it: lab.yaml here, else the only lab there is.
    #[arg(add = ArgValueCandidates::new(complete::labs))]
    pub lab: Option<String>,
    /// As JSON.
    #[arg(long, conflicts_with = "junit")]
    pub json: bool,
    /// As JUnit's XML, for CI.
    #[arg(long)]
    pub junit: bool,
}

#[derive(Debug, Args)]
pub struct Graph {
    /// The lab, where several exist.
    #[arg(value_name = "LAB", add = ArgValueCandidates::new(complete::labs))]
    pub named: Option<String>,
    /// The same, as the verbs that take other words have it.
    #[arg(long, hide = true, conflicts_with = "named", add = ArgValueCandidates::new(complete::labs))]
    pub lab: Option<String>,
    /// Draw from this observation; without it the nodes are observed now.
    #[arg(long, value_name = "NAME", add = ArgValueCandidates::new(complete::observations))]
    pub at: Option<String>,
    /// Mark the way of packets from this pod.
    #[arg(long, value_name = "POD", requires = "to")]
    pub from: Option<String>,
    /// The pod that they go to, or a service: its first endpoint.
    #[arg(long, value_name = "POD|SERVICE", requires = "from")]
    pub to: Option<String>,
    /// Write a picture instead of drawing on the terminal.
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Report {
    /// The lab, where several exist.
    #[arg(value_name = "LAB", add = ArgValueCandidates::new(complete::labs))]
    pub named: Option<String>,
    /// The same, as the verbs that take other words have it.
    #[arg(long, hide = true, conflicts_with = "named", add = ArgValueCandidates::new(complete::labs))]
    pub lab: Option<String>,
    /// The observation before the step that is reported on.
    #[arg(long, default_value = "before", value_name = "NAME", add = ArgValueCandidates::new(complete::observations))]
    pub before: String,
    /// The observation after it.
    #[arg(long, default_value = "after", value_name = "NAME", add = ArgValueCandidates::new(complete::observations))]
    pub after: String,
    /// The observation that services are explained from; without it the latest that is kept.
    #[arg(long, value_name = "NAME", add = ArgValueCandidates::new(complete::observations))]
    pub at: Option<String>,
    /// Write one HTML file that holds everything.
    #[arg(long, value_name = "FILE", conflicts_with = "markdown")]
    pub html: Option<PathBuf>,
    /// Write Markdown; without --html and --markdown it goes to stdout.
    #[arg(long, value_name = "FILE")]
    pub markdown: Option<PathBuf>,
}
