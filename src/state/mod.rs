//! What outlives a run: records, the journal, outputs, locks, processes by identity.

pub mod journal;
pub mod lock;
pub mod outputs;
pub mod process;
pub mod record;
pub mod tail;
pub mod write;
