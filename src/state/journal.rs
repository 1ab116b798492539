//! What was started and what was finished: one checksummed line per record, appended and synced. `up` resumes from it.

use crate::error::{Context, Result};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// One line of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Seconds since 1970.
    pub time: u64,
    /// The task's identifier in the plan.
    pub task: String,
    /// The task's key: what it would do. Empty for nodes.
    pub key: String,
    pub what: What,
}

/// What happened to a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum What {
    /// A node's disk was made anew: what was done on an earlier one is void.
    Created,
    Started,
    /// Done and checked.
    Done,
    Failed,
}

/// An open journal.
pub struct Journal {
    file: File,
    records: Vec<Record>,
}

impl Journal {
    /// Opens the journal of a lab, making it where it is missing. A torn or damaged line ends what is believed: what came
    /// after it is cut off, so that the next record stands on a line of its own.
    pub fn open(path: &Path) -> Result<Self> {
        let what = || format!("open the journal {}", path.display());
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(e) => return Err(e).context(what),
        };
        let (records, good) = read(&bytes);
        let file = File::options().create(true).append(true).open(path).context(what)?;
        if good < bytes.len() {
            file.set_len(good as u64).context(what)?;
        }
        Ok(Self { file, records })
    }

    /// The records that are believed, for those who only look: nothing is changed, no writer is disturbed.
    pub fn look(path: &Path) -> Vec<Record> {
        std::fs::read(path).map(|bytes| read(&bytes).0).unwrap_or_default()
    }

    /// The records that are believed.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// Appends a record; on disk when this returns.
    pub fn append(&mut self, task: &str, key: &str, what: What) -> Result<()> {
        let record = Record { time: now(), task: task.to_owned(), key: key.to_owned(), what };
        let context = || "write the journal".to_owned();
        let line = line(&record).context(context)?;
        self.file.write_all(line.as_bytes()).context(context)?;
        self.file.sync_data().context(context)?;
        self.records.push(record);
        Ok(())
    }
}

/// Seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

fn line(record: &Record) -> serde_json::Result<String> {
    let json = serde_json::to_string(record)?;
    Ok(format!("{} {json}\n", checksum(json.as_bytes())))
}

fn checksum(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex()[..16].to_owned()
}

/// The records up to the first line that is not whole, and how many bytes they take.
fn read(bytes: &[u8]) -> (Vec<Record>, usize) {
    let mut records = Vec::new();
    let mut good = 0;
    for line in bytes.split_inclusive(|b| *b == b'\n') {
        let Some(record) = parse(line) else { break };
        records.push(record);
        good += line.len();
    }
    (records, good)
}

fn parse(line: &[u8]) -> Option<Record> {
    let line = std::str::from_utf8(line.strip_suffix(b"\n")?).ok()?;
    let (sum, json) = line.split_once(' ')?;
    (checksum(json.as_bytes()) == sum).then(|| serde_json::from_str(json).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample() -> Vec<u8> {
        let record = |n: u64| Record { time: n, task: format!("t{n}"), key: "k".into(), what: What::Done };
        (0..4).flat_map(|n| line(&record(n)).unwrap().into_bytes()).collect()
    }

    #[test]
    fn survives_a_torn_last_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let mut journal = Journal::open(&path).unwrap();
        journal.append("a", "k", What::Started).unwrap();
        journal.append("a", "k", What::Done).unwrap();
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 3]).unwrap();
        assert_eq!(Journal::look(&path).len(), 1);
        assert_eq!(std::fs::read(&path).unwrap().len(), whole.len() - 3, "looking changes nothing");
        let mut journal = Journal::open(&path).unwrap();
        assert_eq!(journal.records().len(), 1);
        journal.append("b", "k", What::Started).unwrap();
        assert_eq!(Journal::open(&path).unwrap().records().len(), 2);
    }

    proptest! {
        #[test]
        fn every_prefix_is_a_prefix_of_the_truth(cut in 0usize..600) {
            let bytes = sample();
            let (all, _) = read(&bytes);
            let (some, good) = read(&bytes[..cut.min(bytes.len())]);
            prop_assert!(good <= cut);
            prop_assert_eq!(&all[..some.len()], &some[..]);
        }

        #[test]
        fn a_flipped_byte_is_never_believed(at in 0usize..300, flip in 1u8..=255) {
            let mut bytes = sample();
            let (all, _) = read(&bytes);
            let at = at % bytes.len();
            bytes[at] ^= flip;
            let (some, _) = read(&bytes);
            prop_assert!(some.len() < all.len());
            prop_assert_eq!(&all[..some.len()], &some[..]);
        }
    }
}
