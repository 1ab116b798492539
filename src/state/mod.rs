//! What outlives a run: records, the journal, the ledger, outputs, locks, processes by identity.

pub mod background;
pub mod birth;
pub mod journal;
pub mod ledger;
pub mod lock;
pub mod outputs;
pub mod owner;
pub mod process;
pub mod record;
pub mod sealed;
pub mod tail;
pub mod write;
