//! What outlives a run: processes by identity, atomic writes, locks, the journal.

pub mod process;
pub mod write;
