//! Real nodes. Needs the images (`lab image build`) and the host's packages; `scripts/test` has both.

#[path = "../support/mod.rs"]
mod support;

mod panic;
mod two_nodes;
