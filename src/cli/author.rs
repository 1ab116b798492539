//! The verbs of who writes a lab.

use super::{DriverChoice, Which, complete};
use clap::{Args, Subcommand, ValueEnum};
use clap_complete::ArgValueCandidates;
use std::path::PathBuf;

/// Values given from outside.
#[derive(Debug, Clone, Default, Args)]
pub struct Values {
    /// Set a value that the lab file declares.
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub set: Vec<String>,
    /// Read values from a YAML file; a later file wins, and --set wins over files.
    #[arg(short = 'f', long = "values", value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Validate {
    #[command(flatten)]
    pub which: Which,
    #[command(flatten)]
    pub values: Values,
}

#[derive(Debug, Args)]
pub struct Init {
    /// The lab's name. Without it: this folder's.
    pub name: Option<String>,
    /// Begin with a copy of a lab in the box.
    #[arg(long, value_name = "LAB", add = ArgValueCandidates::new(complete::boxed))]
    pub from: Option<String>,
    /// Write over a lab file that is there.
    #[arg(long)]
    pub force: bool,
}

#[derive(Debug, Args)]
pub struct Render {
    /// The step; a composite one shows all its parts.
    #[arg(add = ArgValueCandidates::new(complete::steps))]
    pub step: String,
    /// The lab. Without it: lab.yaml here, else the only lab there is.
    #[arg(long, add = ArgValueCandidates::new(complete::labs))]
    pub lab: Option<String>,
    /// Only as it runs on this node.
    #[arg(long, add = ArgValueCandidates::new(complete::nodes))]
    pub node: Option<String>,
    /// As nodes of this driver would be told. Without it: the lab's driver, else what suits this host.
    #[arg(long, value_enum)]
    pub driver: Option<DriverChoice>,
    #[command(flatten)]
    pub values: Values,
}

#[derive(Debug, Args)]
pub struct Schema {
    /// Of which file.
    #[arg(value_enum, default_value = "lab")]
    pub file: SchemaOf,
}

/// The files that have a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SchemaOf {
    /// A lab file.
    Lab,
    /// A composite step: a file of `templates/` for `uses`.
    Composite,
    /// A named probe: a file of `templates/probes/`.
    Probe,
}

#[derive(Debug, Args)]
pub struct Next {
    #[command(flatten)]
    pub which: Which,
    /// The language of the text, as `ko`. Without it: the locale's.
    #[arg(long, value_name = "LANGUAGE")]
    pub lang: Option<String>,
}

#[derive(Debug, Args)]
pub struct Chapters {
    /// Show the text of this chapter.
    #[arg(add = ArgValueCandidates::new(complete::chapters))]
    pub chapter: Option<String>,
    /// The lab. Without it: lab.yaml here, else the only lab there is.
    #[arg(long, add = ArgValueCandidates::new(complete::labs))]
    pub lab: Option<String>,
    /// The language of the text, as `ko`. Without it: the locale's.
    #[arg(long, value_name = "LANGUAGE")]
    pub lang: Option<String>,
    /// As JSON, with all texts.
    #[arg(long, conflicts_with_all = ["chapter", "lang"])]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum ExportAction {
    /// A Vagrantfile for VirtualBox and libvirt, and the lab's steps as strict scripts.
    Vagrant(ExportVagrant),
}

#[derive(Debug, Args)]
pub struct ExportVagrant {
    #[command(flatten)]
    pub which: Which,
    /// The folder to write.
    #[arg(long, value_name = "FOLDER", default_value = "vagrant")]
    pub to: PathBuf,
    #[command(flatten)]
    pub values: Values,
}
