//! How long tasks take: watched in each run, kept on this machine, and expected in the next.

use crate::event::{Event, Reporter};
use crate::paths::Paths;
use crate::state::write::atomically;
use crate::ui::{duration, table};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// How many runs are remembered of each task.
const RUNS: usize = 5;

/// Milliseconds of the last runs, by driver and lab, by task. In the cache: it can go at any time.
type Kept = BTreeMap<String, BTreeMap<String, Vec<u64>>>;

/// A task that ended in this run.
struct Ended {
    task: String,
    begun: u64,
    millis: u64,
}

/// Watches the events of a run.
pub struct Timing {
    file: PathBuf,
    group: String,
    ended: Arc<Mutex<Vec<Ended>>>,
}

impl Timing {
    /// Watches what goes to `reporter`; the run reports to what is returned.
    pub fn watch(driver: &str, lab: &str, paths: &Paths, reporter: &Reporter) -> (Self, Reporter) {
        let ended: Arc<Mutex<Vec<Ended>>> = Arc::default();
        let (start, seen, next) = (Instant::now(), ended.clone(), reporter.clone());
        let watched = Reporter::new(move |event| {
            if let Event::Finished { task, millis, .. } = &event {
                let now = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
                let (task, begun, millis) = (task.clone(), now.saturating_sub(*millis), *millis);
                seen.lock().unwrap_or_else(PoisonError::into_inner).push(Ended { task, begun, millis });
            }
            next.send(event);
        });
        (Self { file: paths.cache.join("timings.json"), group: format!("{driver}/{lab}"), ended }, watched)
    }

    /// What each task took in the middle of its last runs here.
    pub fn expected(&self) -> BTreeMap<String, u64> {
        let middle = |runs: Vec<u64>| {
            let mut runs = runs;
            runs.sort_unstable();
            runs.get(runs.len() / 2).copied()
        };
        let mut kept = self.kept();
        let own = kept.remove(&self.group).unwrap_or_default();
        own.into_iter().filter_map(|(task, runs)| Some((task, middle(runs)?))).collect()
    }

    /// Keeps what this run took. A cache that cannot be written is one without memory, and no error.
    pub fn keep(&self) {
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        if ended.is_empty() {
            return;
        }
        let mut kept = self.kept();
        let own = kept.entry(self.group.clone()).or_default();
        for Ended { task, millis, .. } in ended.iter() {
            let runs = own.entry(task.clone()).or_default();
            runs.push(*millis);
            let old = runs.len().saturating_sub(RUNS);
            runs.drain(..old);
        }
        if let (Ok(text), Some(dir)) = (serde_json::to_vec(&kept), self.file.parent()) {
            let _ = std::fs::create_dir_all(dir);
            let _ = atomically(&self.file, &text, 0o600);
        }
    }

    /// The phases of this run, in the order in which they began, and from when to when each lasted: all boots, and each
    /// step of the lab file on all its nodes with all its parts.
    pub fn phases(&self) -> Vec<(String, u64)> {
        let mut all: Vec<(String, u64, u64)> = Vec::new();
        for Ended { task, begun, millis } in self.ended.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let (name, end) = (phase(task), begun + millis);
            match all.iter_mut().find(|(n, ..)| n == name) {
                Some((_, from, to)) => (*from, *to) = ((*from).min(*begun), (*to).max(end)),
                None => all.push((name.to_owned(), *begun, end)),
            }
        }
        all.sort_by_key(|(_, from, _)| *from);
        all.into_iter().map(|(name, from, to)| (name, to - from)).collect()
    }

    /// The phases for people; nothing where nothing ran.
    pub fn table(&self) -> String {
        let phases = self.phases();
        let rows: Vec<Vec<String>> = phases.into_iter().map(|(name, millis)| vec![name, duration(millis)]).collect();
        if rows.is_empty() { String::new() } else { format!("\n{}", table(&["PHASE", "TIME"], &rows)) }
    }

    fn kept(&self) -> Kept {
        std::fs::read(&self.file).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
    }
}

/// "boot n1" is of `boot`, "join/token@n1" of `join`, "observe before" of itself.
fn phase(task: &str) -> &str {
    if task.starts_with("boot ") {
        return "boot";
    }
    task.split(['@', '/']).next().unwrap_or(task)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finished(task: &str, millis: u64) -> Event {
        Event::Finished { task: task.into(), node: None, title: String::new(), millis }
    }

    #[test]
    fn the_middle_of_the_last_runs_is_expected() {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths { cache: dir.path().join("c"), state: dir.path().into(), run: dir.path().into() };
        for millis in [9000, 10, 20, 30, 40, 50] {
            let (timing, reporter) = Timing::watch("qemu", "x", &paths, &Reporter::silent());
            reporter.send(finished("init@n1", millis));
            timing.keep();
        }
        let (timing, _) = Timing::watch("qemu", "x", &paths, &Reporter::silent());
        assert_eq!(timing.expected(), BTreeMap::from([("init@n1".to_owned(), 30)]), "the oldest is forgotten");
        let (other, _) = Timing::watch("container", "x", &paths, &Reporter::silent());
        assert!(other.expected().is_empty());
    }

    #[test]
    fn phases_are_the_labs_own_steps() {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths { cache: dir.path().into(), state: dir.path().into(), run: dir.path().into() };
        let (timing, reporter) = Timing::watch("qemu", "x", &paths, &Reporter::silent());
        for task in ["boot n1", "boot n2", "init/config@n1", "init/init@n1", "observe before"] {
            reporter.send(finished(task, 0));
        }
        let names: Vec<String> = timing.phases().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["boot", "init", "observe before"]);
    }
}
