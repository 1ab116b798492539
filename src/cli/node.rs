//! Verbs that reach into nodes.

use super::{Which, complete};
use clap::Args;
use clap_complete::ArgValueCandidates;

#[derive(Debug, Args)]
pub struct Ssh {
    /// The node.
    #[arg(add = ArgValueCandidates::new(complete::nodes))]
    pub node: String,
    /// A command to run there instead of a shell: one word is a line for its shell, several are kept as they are.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
    pub words: Vec<String>,
    /// The lab, where several have a node of this name.
    #[arg(long, add = ArgValueCandidates::new(complete::labs))]
    pub lab: Option<String>,
    /// Run this line instead of a shell.
    #[arg(short, long, value_name = "LINE", conflicts_with = "words")]
    pub command: Option<String>,
    /// Give the command a terminal too, as for `top`.
    #[arg(short, long)]
    pub tty: bool,
}

#[derive(Debug, Args)]
pub struct SshConfig {
    #[command(flatten)]
    pub which: Which,
    /// Make the nodes known to your own ssh: one `Include` line in ~/.ssh/config, the rest goes with the lab.
    #[arg(long)]
    pub merge: bool,
}

#[derive(Debug, Args)]
pub struct Copy {
    /// What to copy, and last where to: a path here, or NODE:PATH. Folders are copied whole.
    #[arg(required = true, num_args = 2.., value_name = "PATH", add = ArgValueCandidates::new(complete::places))]
    pub paths: Vec<String>,
    /// The lab, where several have a node of this name.
    #[arg(long, add = ArgValueCandidates::new(complete::labs))]
    pub lab: Option<String>,
    /// Does nothing: folders are always copied whole. For fingers used to scp.
    #[arg(short, hide = true)]
    pub recursive: bool,
}

#[derive(Debug, Args)]
pub struct Logs {
    #[command(flatten)]
    pub which: Which,
    /// Only of this node; may be given several times.
    #[arg(long, add = ArgValueCandidates::new(complete::nodes))]
    pub node: Vec<String>,
    /// Only of this step; may be given several times. The name of a composite step means all its parts.
    #[arg(long, add = ArgValueCandidates::new(complete::steps))]
    pub step: Vec<String>,
    /// The nodes' consoles instead of the steps' output.
    #[arg(long, conflicts_with = "step")]
    pub console: bool,
    /// Go on and show what comes, until Ctrl-C or the lab is destroyed.
    #[arg(short, long)]
    pub follow: bool,
    /// Begin this many lines before the end of each log.
    #[arg(short = 'n', long, value_name = "N")]
    pub lines: Option<usize>,
}

#[derive(Debug, Args)]
pub struct Kubeconfig {
    #[command(flatten)]
    pub which: Which,
    /// Merge it into the first file of $KUBECONFIG, else ~/.kube/config, as the context lab-NAME.
    #[arg(long)]
    pub merge: bool,
}

#[derive(Debug, Args)]
pub struct Forward {
    /// The node that makes the connections, or a lab: its node that has access to the cluster.
    #[arg(add = ArgValueCandidates::new(complete::nodes_and_labs))]
    pub node: String,
    /// [LOCAL:][HOST:]PORT: from a port of 127.0.0.1 here to one of the node, or of a host that the node reaches;
    /// [LOCAL:]service/[NAMESPACE/]NAME[:PORT] or [LOCAL:]pod/[NAMESPACE/]NAME:PORT: to what has this name.
    #[arg(required = true, value_name = "PORTS")]
    pub ports: Vec<String>,
    /// The lab, where several have a node of this name.
    #[arg(long, add = ArgValueCandidates::new(complete::labs))]
    pub lab: Option<String>,
}

#[derive(Debug, Args)]
pub struct Dial {
    #[arg(long)]
    pub lab: String,
    pub node: String,
}
