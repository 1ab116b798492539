//! What a node's network looks like, what changed, and how a packet goes: pure functions over text captured on nodes.

pub mod rules;
