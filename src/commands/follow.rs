//! Following logs: what is written to them is shown when the kernel says that something was.

use super::logs::Source;
use crate::error::{Context, Result};
use crate::paths::Paths;
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use tokio::io::AsyncReadExt;

/// A log that is followed.
struct Followed<'a> {
    source: &'a Source,
    /// Which file it was: another try of a step begins another one.
    inode: u64,
    /// How far it was read.
    at: u64,
    /// The begin of a line whose end is not written yet.
    begun: Vec<u8>,
}

/// Shows the last lines of the logs and then what comes, until their folders go with the lab.
pub async fn follow(sources: &[Source], lines: Option<usize>) -> Result<()> {
    let what = || "follow the logs";
    let watch = inotify::init(CreateFlags::CLOEXEC).context(what)?;
    let folders: BTreeSet<&Path> = sources.iter().filter_map(|s| s.path.parent()).collect();
    for folder in folders {
        // A lab whose first step has not run yet has no folder for it.
        Paths::make_private(folder)?;
        let events = WatchFlags::MODIFY | WatchFlags::CREATE | WatchFlags::MOVED_TO | WatchFlags::DELETE_SELF;
        inotify::add_watch(&watch, folder, events).context(what)?;
    }
    let mut watch = tokio::fs::File::from_std(File::from(watch));
    let mut all: Vec<Followed> =
        sources.iter().map(|source| Followed { source, inode: 0, at: 0, begun: Vec::new() }).collect();
    let mut first = lines;
    loop {
        for log in &mut all {
            let new = log.read();
            let skip = first.map_or(0, |n| new.len().saturating_sub(n));
            let mut out = std::io::stdout().lock();
            for line in &new[skip..] {
                if out.write_all(log.source.line(line).as_bytes()).and_then(|()| out.flush()).is_err() {
                    return Ok(());
                }
            }
        }
        first = None;
        if !sources.iter().any(|s| s.path.parent().is_some_and(Path::exists)) {
            return Ok(());
        }
        // Only that something was written counts, not what the kernel says of it.
        watch.read(&mut [0; 4096]).await.context(what)?;
    }
}

impl Followed<'_> {
    /// The whole lines since the last look.
    fn read(&mut self) -> Vec<String> {
        let Ok(mut file) = File::open(&self.source.path) else { return Vec::new() };
        let Ok(now) = file.metadata() else { return Vec::new() };
        if now.ino() != self.inode || now.len() < self.at {
            (self.inode, self.at) = (now.ino(), 0);
            self.begun.clear();
        }
        let mut new = Vec::new();
        if file.seek(SeekFrom::Start(self.at)).is_err() || file.read_to_end(&mut new).is_err() {
            return Vec::new();
        }
        self.at += new.len() as u64;
        self.begun.extend_from_slice(&new);
        let Some(end) = self.begun.iter().rposition(|b| *b == b'\n') else { return Vec::new() };
        let whole: Vec<u8> = self.begun.drain(..=end).collect();
        String::from_utf8_lossy(&whole).lines().map(str::to_owned).collect()
    }
}
