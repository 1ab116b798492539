//! Real nodes. Needs the images (`lab image build`) and the host's packages; `scripts/test` has both.

#[path = "../support/kill.rs"]
mod harness;
#[path = "../support/pty.rs"]
mod pty;
#[path = "../support/mod.rs"]
mod support;

mod container;
mod flannel;
mod host;
mod kill;
mod labs;
mod panic;
mod silence;
mod two_nodes;
mod v2_host;
