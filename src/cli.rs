//! The command line.

mod author;
mod complete;
mod insight;
mod node;

pub use author::{Chapters, ExportAction, ExportVagrant, Init, Next, Render, Schema, SchemaOf, Validate, Values};
pub use complete::{Shell, answer, script};
pub use insight::{Check, Diff, Explain, Graph, Observe, Report, Subject};
pub use node::{Copy, Dial, Forward, Kubeconfig, Logs, Ssh, SshConfig};

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use clap_complete::ArgValueCandidates;
use std::ffi::OsString;
use std::path::PathBuf;

/// Throw-away clusters of small nodes from one YAML file.
#[derive(Debug, Parser)]
#[command(
    name = "lab",
    version,
    arg_required_else_help = true,
    disable_help_subcommand = true,
    after_help = "Exit codes: 0 done, 1 something failed, 2 your input is wrong, 3 the host lacks something, 130 \
                  interrupted.\nWhich lab is meant: the one named (a file or a name), else lab.yaml here, else the only \
                  one that exists."
)]
pub struct Cli {
    #[command(subcommand)]
    pub verb: Verb,
    /// Show what the scripts print.
    #[arg(short, long, global = true)]
    pub verbose: bool,
    /// Colours: as the output and NO_COLOR and CLICOLOR_FORCE say, or not.
    #[arg(long, value_enum, default_value = "auto", global = true, value_name = "WHEN")]
    pub color: Colour,
    /// The lab whose tool is meant, where several have it: lab --lab NAME TOOL ...
    #[arg(long, value_name = "LAB", add = ArgValueCandidates::new(complete::labs))]
    pub lab: Option<String>,
}

/// When to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Colour {
    Auto,
    Always,
    Never,
}

/// Writes the manual pages, one per verb, into a folder.
///
/// # Errors
/// The folder cannot be written; the reason is the system's.
pub fn manual(dir: &std::path::Path) -> std::io::Result<()> {
    clap_mangen::generate_to(Cli::command(), dir)
}

/// The verbs that people may type.
pub fn verbs() -> Vec<String> {
    let command = Cli::command();
    command.get_subcommands().filter(|c| !c.is_hide_set()).map(|c| c.get_name().to_owned()).collect()
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Make the lab's nodes and run its steps; goes on where an earlier `up` stopped.
    #[command(after_help = "Examples:\n  lab up flannel\n  lab up ./my-lab.yaml --driver qemu --offline\n  \
                            lab up flannel --to before          stop there; the next `lab up` goes on\n  \
                            lab up flannel --from sample        run it and what follows again")]
    Up(Up),
    /// Power off the lab's nodes; their disks stay, and `up` starts them again.
    Halt(Which),
    /// Power off the lab's nodes and start them again: `halt` and `up`, offline if they were.
    Reload(Which),
    /// Stop and remove the lab's nodes and all that belongs to them.
    Destroy(Destroy),
    /// Look at this host: what keeps labs from working, and the command that mends it.
    Doctor(Doctor),
    /// Show the lab's nodes and how far its steps are.
    Status(Facts),
    /// Open a shell on a node, or run a command there.
    #[command(after_help = "Examples:\n  lab ssh flannel-ctr\n  lab ssh flannel-w1 -c 'ip route | head -3'\n  \
                            lab ssh flannel-w1 -- tcpdump -ni flannel.1\n  tar c notes | lab ssh n1 -- tar x\n\n\
                            The exit code is the command's.")]
    Ssh(Ssh),
    /// Print what OpenSSH, scp or an editor needs to reach the nodes.
    #[command(after_help = "Examples:\n  lab ssh-config > nodes && ssh -F nodes flannel-w1\n  \
                      lab ssh-config | ssh -F /dev/stdin flannel-w1 hostname\n  lab ssh-config --merge && ssh flannel-w1\n\n\
                      Not `ssh -F <(lab ssh-config)`: OpenSSH closes what a shell opens for it there.")]
    SshConfig(SshConfig),
    /// Copy files and folders to and from nodes.
    #[command(
        override_usage = "lab cp [OPTIONS] FROM... TO",
        after_help = "Examples:\n  lab cp notes.txt flannel-ctr:/root/\n  lab cp flannel-w1:/etc/cni/net.d .\n  \
                            lab cp n1:/tmp/capture.pcap n2:/tmp/"
    )]
    Cp(Copy),
    /// Show what the steps printed, or what the nodes said on their consoles.
    #[command(after_help = "Examples:\n  lab logs flannel --step init\n  lab logs --node flannel-w1 -f\n  \
                            lab logs --console --node flannel-ctr -n 50")]
    Logs(Logs),
    /// Show what `up` would run, and why.
    #[command(after_help = "Examples:\n  lab plan flannel\n  lab plan --to before\n  lab plan --json ./my-lab.yaml")]
    Plan(Plan),
    /// Capture each node's links, routes, neighbours, FDB and rules, and keep them under a name.
    #[command(after_help = "Examples:\n  lab observe\n  lab observe flannel-w1 --name broken\n  lab observe --list")]
    Observe(Observe),
    /// Show what changed between two observations, grouped by meaning, with who did it. Exit code 1 where it differs.
    #[command(after_help = "Examples:\n  lab diff before after\n  lab diff after --node flannel-w1")]
    Diff(Diff),
    /// Prove how the network does what it does: a service, a way between pods, a route, what a node has.
    Explain(Explain),
    /// Hold the lab's expectations against what is there. Exit code 0 only when all hold.
    Check(Check),
    /// Draw the network as it was observed.
    Graph(Graph),
    /// Write one file with everything that was seen: topology, before and after, what changed, how services work.
    Report(Report),
    /// Check a lab file and what it uses: all problems at once.
    #[command(after_help = "Examples:\n  lab validate\n  lab validate ./my-lab.yaml --set greeting=hi -f values.yaml")]
    Validate(Validate),
    /// Write a commented lab file into this folder, to begin with.
    #[command(after_help = "Examples:\n  lab init\n  lab init my-lesson --from flannel")]
    Init(Init),
    /// Show what exactly a step would run on its nodes, with values; secrets are masked.
    #[command(
        after_help = "Examples:\n  lab render init --lab flannel\n  lab render join/config --lab flannel --node flannel-w1"
    )]
    Render(Render),
    /// Run the next chapter of a lab that `up --chapters` began, and show its text.
    #[command(after_help = "Examples:\n  lab up flannel --chapters\n  lab next\n  lab next --lang ko")]
    Next(Next),
    /// List a lab's chapters, or show the text of one.
    #[command(after_help = "Examples:\n  lab chapters --lab flannel\n  lab chapters walk --lab flannel --lang ko")]
    Chapters(Chapters),
    /// Write a lab for another tool.
    #[command(after_help = "Example:\n  lab export vagrant flannel --to my-vagrant")]
    Export {
        #[command(subcommand)]
        action: ExportAction,
    },
    /// Print the JSON Schema of the lab file, for completion in an editor.
    #[command(
        after_help = "Example:\n  lab schema > .lab.schema.json\nand as the first line of lab.yaml:\n  # yaml-language-server: $schema=.lab.schema.json"
    )]
    Schema(Schema),
    /// List the labs in the box and those that exist.
    List {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Build or show the bundle: what nodes need from the internet.
    Bundle {
        #[command(subcommand)]
        action: BundleAction,
    },
    /// Build or list images.
    Image {
        #[command(subcommand)]
        action: ImageAction,
    },
    /// Print the cluster's kubeconfig for this host, or merge it into your own.
    #[command(after_help = "Examples:\n  lab kubeconfig > kubeconfig\n  lab kubeconfig --merge flannel\n\n\
                            A merged one is the context lab-NAME; `lab destroy` takes it out again.")]
    Kubeconfig(Kubeconfig),
    /// Forward ports of this host to a node, or through it to a service or a pod.
    #[command(after_help = "Examples:\n  lab forward flannel 8080:service/webpod:80   to a service of the cluster\n  \
                            lab forward flannel :pod/curl-pod:8080       to a pod, from any free port; it is printed\n  \
                            lab forward n1 8080:80                       to the node's own port 80\n  \
                            lab forward flannel-w1 8080:10.96.12.3:80    to an address that the node reaches")]
    Forward(Forward),
    /// Print the script that completes verbs, labs and nodes in your shell.
    #[command(after_help = "Examples:\n  source <(lab completions bash)        in ~/.bashrc\n  \
                            source <(lab completions zsh)         in ~/.zshrc\n  \
                            lab completions fish | source         in ~/.config/fish/config.fish")]
    Completions { shell: Shell },
    /// Write the manual pages, one per verb, into a folder.
    #[command(after_help = "Examples:\n  lab man ~/.local/share/man/man1 && man lab-up")]
    Man { dir: PathBuf },
    /// Print the version; with -v what a bug report should say of the host.
    Version {
        /// As JSON, with the host.
        #[arg(long)]
        json: bool,
    },
    /// Our pipes to a node's SSH port; what `ssh-config --merge` writes uses it.
    #[command(hide = true)]
    Dial(Dial),
    /// The background process of a lab of containers; started by `up`.
    #[command(hide = true)]
    Keep {
        #[arg(long)]
        run: PathBuf,
        lab: String,
    },
    /// The background process of a lab of virtual machines; started by `up`.
    #[command(hide = true)]
    Switch {
        #[arg(long)]
        run: PathBuf,
        #[arg(required = true)]
        networks: Vec<String>,
    },
    /// A tool that a lab file names.
    #[command(external_subcommand)]
    Tool(Vec<OsString>),
}

/// Which way of making nodes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum DriverChoice {
    #[default]
    /// Virtual machines where hardware makes them fast, else system containers where the host allows them.
    Auto,
    /// Virtual machines.
    Qemu,
    /// System containers on the host's kernel, at full speed; of an ordinary user in a user namespace.
    Container,
    /// No nodes at all: scripts run on the host in a folder of the lab. For tests of `lab` itself.
    #[value(hide = true)]
    Fake,
}

/// Which lab.
#[derive(Debug, Default, Args)]
pub struct Which {
    /// The name of a lab, or a lab file. Without it: lab.yaml here, else the only lab there is.
    #[arg(add = ArgValueCandidates::new(complete::labs))]
    pub lab: Option<String>,
}

/// A lab, and how its facts are told.
#[derive(Debug, Args)]
pub struct Facts {
    #[command(flatten)]
    pub which: Which,
    /// As JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Plan {
    #[command(flatten)]
    pub wish: Wish,
    /// As JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Default, Args)]
pub struct Up {
    #[command(flatten)]
    pub wish: Wish,
    /// Fetch nothing, and let the nodes reach nothing outside the lab.
    #[arg(long)]
    pub offline: bool,
    /// Stop at the end of a chapter and show its text; `lab next` goes on.
    #[arg(long)]
    pub chapters: bool,
    /// The language of chapters, as `ko`. Without it: the locale's.
    #[arg(long, value_name = "LANGUAGE")]
    pub lang: Option<String>,
    /// Go to the chapter after those that are finished: `lab next`.
    #[arg(skip)]
    pub next: bool,
    /// Show what would run, and change nothing.
    #[arg(long)]
    pub dry_run: bool,
}

/// Which lab, how, and how much of it: what decides on the tasks of a run.
#[derive(Debug, Default, Args)]
pub struct Wish {
    #[command(flatten)]
    pub which: Which,
    /// How to make nodes. Without it: as the lab file says, else what suits this host.
    #[arg(long, value_enum)]
    pub driver: Option<DriverChoice>,
    #[command(flatten)]
    pub values: Values,
    /// Stop after this step; a composite step's name means all its parts.
    #[arg(long, value_name = "STEP", add = ArgValueCandidates::new(complete::steps))]
    pub to: Option<String>,
    /// Run this step and all after it again, also when they are done.
    #[arg(long, value_name = "STEP", add = ArgValueCandidates::new(complete::steps))]
    pub from: Option<String>,
    /// Only this node, and what its steps need of others; may be given several times.
    #[arg(long, value_name = "NODE", add = ArgValueCandidates::new(complete::nodes))]
    pub only: Vec<String>,
}

#[derive(Debug, Args)]
pub struct Destroy {
    #[command(flatten)]
    pub which: Which,
    /// Every lab that exists.
    #[arg(long, conflicts_with = "lab")]
    pub all: bool,
    /// Do not ask.
    #[arg(short, long)]
    pub force: bool,
    /// Keep the lab's observations: `lab diff`, `explain --at`, `graph --at` and `report` still work.
    #[arg(long)]
    pub keep_notes: bool,
}

#[derive(Debug, Args)]
pub struct Doctor {
    #[command(flatten)]
    pub which: Which,
    /// Remove what labs that are gone have left; what needs root is only shown.
    #[arg(long)]
    pub fix: bool,
    /// As JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum BundleAction {
    /// Build what is missing.
    Build {
        #[arg(default_value = "kubernetes")]
        name: String,
    },
    /// Show the parts, where each comes from and what it stands for.
    Show {
        #[arg(default_value = "kubernetes")]
        name: String,
        /// As JSON, with the digest of every file.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Subcommand)]
pub enum ImageAction {
    /// Build an image, and the bundle it needs; what is there and whole stays.
    Build {
        /// An image of the box, or a lab file, which means the image of that lab. Without it: all of the box.
        #[arg(add = ArgValueCandidates::new(complete::images))]
        name: Option<String>,
    },
    /// List the images in the cache.
    List {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
}
