//! The command line.

mod author;

pub use author::{Chapters, ExportAction, ExportVagrant, Init, Next, Render, Schema, SchemaOf, Validate, Values};

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Throw-away clusters of small nodes from one YAML file.
#[derive(Debug, Parser)]
#[command(name = "lab", version, arg_required_else_help = true, disable_help_subcommand = true)]
pub struct Cli {
    #[command(subcommand)]
    pub verb: Verb,
    /// Show what the scripts print.
    #[arg(short, long, global = true)]
    pub verbose: bool,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Make the lab's nodes and run its steps; goes on where an earlier `up` stopped.
    #[command(after_help = "Examples:\n  lab up flannel\n  lab up ./my-lab.yaml --driver qemu --offline")]
    Up(Up),
    /// Stop and remove the lab's nodes and all that belongs to them.
    Destroy(Destroy),
    /// Show the lab's nodes and how far its steps are.
    Status(Which),
    /// Open a shell on a node, or run a command there.
    #[command(after_help = "Examples:\n  lab ssh flannel-ctr\n  lab ssh flannel-w1 -c 'ip route'")]
    Ssh(Ssh),
    /// Show what `up` would run, and why.
    Plan(Up),
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
    List,
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
    /// The lab's background process; started by `up`.
    #[command(hide = true)]
    Switch {
        #[arg(long)]
        run: PathBuf,
        #[arg(required = true)]
        networks: Vec<String>,
    },
}

/// Which way of making nodes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum DriverChoice {
    #[default]
    /// What suits this host.
    Auto,
    /// Virtual machines.
    Qemu,
    /// System containers on the host's kernel, at full speed. Needs root.
    Container,
    /// No nodes at all: scripts run on the host in a folder of the lab. For tests of `lab` itself.
    #[value(hide = true)]
    Fake,
}

/// Which lab.
#[derive(Debug, Default, Args)]
pub struct Which {
    /// The name of a lab, or a lab file. Without it: lab.yaml here, else the only lab there is.
    pub lab: Option<String>,
}

#[derive(Debug, Default, Args)]
pub struct Up {
    #[command(flatten)]
    pub which: Which,
    /// How to make nodes.
    #[arg(long, value_enum, default_value = "auto")]
    pub driver: DriverChoice,
    /// Fetch nothing, and let the nodes reach nothing outside the lab.
    #[arg(long)]
    pub offline: bool,
    #[command(flatten)]
    pub values: Values,
    /// Stop at the end of a chapter and show its text; `lab next` goes on.
    #[arg(long)]
    pub chapters: bool,
    /// The language of chapters, as `ko`. Without it: the locale's.
    #[arg(long, value_name = "LANGUAGE")]
    pub lang: Option<String>,
    /// Go to the chapter after those that are finished: `lab next`.
    #[arg(skip)]
    pub next: bool,
}

#[derive(Debug, Args)]
pub struct Destroy {
    #[command(flatten)]
    pub which: Which,
    /// Do not ask.
    #[arg(short, long)]
    pub force: bool,
}

#[derive(Debug, Args)]
pub struct Ssh {
    /// The node.
    pub node: String,
    /// The lab, where several have a node of this name.
    #[arg(long)]
    pub lab: Option<String>,
    /// Run this instead of a shell.
    #[arg(short, long)]
    pub command: Option<String>,
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
    /// Build an image, and the bundle it needs.
    Build { name: String },
    /// List the images in the cache.
    List,
}
