//! What was started and what was finished: one checksummed line per record, appended and synced. `up` resumes from it.

use super::sealed;
use crate::error::{Context, Error, Result};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// One line of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Seconds since 1970.
    pub time: u64,
    /// The task's identifier in the plan. Empty for what concerns them all.
    pub task: String,
    /// The task's key: what it would do. For a node, which disk it is: see [`super::birth`].
    pub key: String,
    pub what: What,
}

/// What happened to a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum What {
    /// A node's disk is made anew: what was done on an earlier one is void.
    Created,
    /// What was done on a node until here is not known; it may be anything.
    Lost,
    Started,
    /// Done and checked.
    Done,
    Failed,
}

/// An open journal.
pub struct Journal {
    file: File,
    records: Vec<Record>,
    /// The bytes of all whole lines.
    length: u64,
}

impl Journal {
    /// Opens the journal of a lab, making it where it is missing. A torn last line is a record that was not yet true, and
    /// goes. A damaged one ends what is believed: nobody knows what it and those after it said.
    pub fn open(path: &Path) -> Result<Self> {
        let what = || format!("open the journal {}", path.display());
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(e) => return Err(e).context(what),
        };
        let found = read(&bytes);
        let file = File::options().create(true).append(true).mode(0o600).open(path).context(what)?;
        if found.good < bytes.len() {
            file.set_len(found.good as u64).context(what)?;
        }
        if let Some(above) = path.parent().filter(|_| bytes.is_empty()) {
            File::open(above).and_then(|dir| dir.sync_all()).context(what)?;
        }
        let mut journal = Self { file, records: found.records, length: found.good as u64 };
        if let Some(last) = found.unended {
            // Only the end of its line is not what was written.
            journal.write(last)?;
        }
        if found.damaged {
            journal.append("", "", What::Lost)?;
        }
        Ok(journal)
    }

    /// The records that are believed, for those who only look: nothing is changed, no writer is disturbed.
    pub fn look(path: &Path) -> Vec<Record> {
        parse(&std::fs::read(path).unwrap_or_default())
    }

    /// The records that are believed.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// Appends a record; on disk when this returns.
    pub fn append(&mut self, task: &str, key: &str, what: What) -> Result<()> {
        self.write(Record { time: now(), task: task.to_owned(), key: key.to_owned(), what })
    }

    fn write(&mut self, record: Record) -> Result<()> {
        let context = || "write the journal".to_owned();
        let line = sealed::line(&record).context(context)?;
        let written = self.file.write_all(line.as_bytes()).and_then(|()| self.file.sync_data());
        if let Err(e) = written {
            // A part of a line must not stand before the next one.
            let _ = self.file.set_len(self.length);
            let hint = "is the disk full? What was done so far is kept, and `lab up` goes on there";
            return Err(Error::failed(context(), e).hint(hint));
        }
        self.length += line.len() as u64;
        self.records.push(record);
        Ok(())
    }
}

/// The records of a journal's bytes that are believed.
pub fn parse(bytes: &[u8]) -> Vec<Record> {
    let found = read(bytes);
    let lost = Record { time: now(), task: String::new(), key: String::new(), what: What::Lost };
    let more = found.unended.into_iter().chain(found.damaged.then_some(lost));
    found.records.into_iter().chain(more).collect()
}

/// Seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

/// What a journal's bytes say.
struct Found {
    records: Vec<Record>,
    /// How many bytes their lines take.
    good: usize,
    /// The last record, whole but for the end of its line.
    unended: Option<Record>,
    /// Something that was a record once cannot be read any more.
    damaged: bool,
}

fn read(bytes: &[u8]) -> Found {
    let mut found = Found { records: Vec::new(), good: 0, unended: None, damaged: false };
    for line in bytes.split_inclusive(|b| *b == b'\n') {
        let Some(record) = sealed::read_line(line).filter(|_| line.ends_with(b"\n")) else { break };
        found.records.push(record);
        found.good += line.len();
    }
    let rest = &bytes[found.good..];
    let without_end = rest.split_last().map_or(rest, |(_, line)| line);
    found.unended = sealed::read_line(rest).or_else(|| sealed::read_line(without_end));
    found.damaged = found.unended.is_none() && rest.contains(&b'\n');
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample() -> (Vec<Record>, Vec<u8>) {
        let record = |n: u64| Record { time: n, task: format!("t{n}"), key: "k".into(), what: What::Done };
        let all: Vec<Record> = (0..4).map(record).collect();
        let bytes = all.iter().flat_map(|r| sealed::line(r).unwrap().into_bytes()).collect();
        (all, bytes)
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

    /// Every file that begins like the sample, opened as `up` does: what is believed, and what is believed the next time.
    fn opened(bytes: &[u8]) -> (Vec<Record>, Vec<Record>) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        std::fs::write(&path, bytes).unwrap();
        let looked: Vec<(String, What)> = Journal::look(&path).into_iter().map(|r| (r.task, r.what)).collect();
        let first = Journal::open(&path).unwrap().records().to_vec();
        assert_eq!(looked, first.iter().map(|r| (r.task.clone(), r.what)).collect::<Vec<_>>());
        (first, Journal::open(&path).unwrap().records().to_vec())
    }

    #[test]
    fn every_prefix_is_a_prefix_of_the_truth() {
        let (all, bytes) = sample();
        for cut in 0..=bytes.len() {
            let (some, again) = opened(&bytes[..cut]);
            assert_eq!(&all[..some.len()], &some[..], "{cut} bytes");
            assert_eq!(some, again);
        }
    }

    #[test]
    fn a_flipped_byte_leaves_the_truth_or_says_that_something_is_lost() {
        let (all, bytes) = sample();
        for at in 0..bytes.len() {
            for flip in [1, 2, 0x20, 0x80, 0xff, bytes[at] ^ b'\n'] {
                let mut bytes = bytes.clone();
                bytes[at] ^= flip;
                let (some, again) = opened(&bytes);
                assert_eq!(some, again, "byte {at}");
                match some.split_last() {
                    Some((last, before)) if last.what == What::Lost => assert_eq!(&all[..before.len()], before),
                    // A flip that takes the end of the last line away, or nothing.
                    _ => assert_eq!(some, all, "byte {at}, {flip:#x}"),
                }
            }
        }
    }

    #[test]
    fn a_record_that_could_not_be_written_leaves_no_part_of_itself() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let mut journal = Journal::open(&path).unwrap();
        journal.append("a", "k", What::Done).unwrap();
        let good = journal.file;
        // A device that is always full.
        journal.file = File::options().write(true).open("/dev/full").unwrap();
        let e = journal.append("b", "k", What::Done).unwrap_err();
        assert!(e.hint.unwrap().contains("lab up"));
        assert_eq!(journal.records().len(), 1);
        journal.file = good;
        journal.append("c", "k", What::Done).unwrap();
        assert_eq!(Journal::open(&path).unwrap().records().len(), 2);
    }

    proptest! {
        #[test]
        fn noise_is_never_believed(noise in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(read(&noise).records.is_empty());
        }
    }
}
