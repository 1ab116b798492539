//! How long a plan may take, by how long its tasks took before.

use super::{Task, Verdict};
use std::collections::BTreeMap;

/// Milliseconds along the longest way through the tasks that run; None where nothing is known of any of them.
pub fn expected(tasks: &[Task], known: &BTreeMap<String, u64>) -> Option<u64> {
    let mut ends: BTreeMap<&str, u64> = BTreeMap::new();
    let mut any = false;
    for task in tasks {
        let begin = task.needs.iter().filter_map(|n| ends.get(n.as_str())).max().copied().unwrap_or(0);
        let own = match task.verdict {
            Verdict::Done => 0,
            Verdict::Run { .. } => known.get(&task.id).map_or(0, |millis| {
                any = true;
                *millis
            }),
        };
        ends.insert(&task.id, begin + own);
    }
    any.then(|| ends.values().max().copied().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::super::TaskKind;
    use super::*;

    #[test]
    fn the_longest_way_counts_and_what_is_done_costs_nothing() {
        let task = |id: &str, needs: &[&str], runs: bool| Task {
            id: id.into(),
            kind: TaskKind::Boot { node: "n".into() },
            needs: needs.iter().map(|n| (*n).to_owned()).collect(),
            reads: Default::default(),
            key: String::new(),
            verdict: if runs { Verdict::Run { why: String::new() } } else { Verdict::Done },
            retried: false,
            resumable: false,
            only_looks: false,
        };
        let tasks = [task("a", &[], true), task("b", &["a"], true), task("c", &["a"], true), task("d", &["c"], false)];
        let known = BTreeMap::from([("a", 10), ("b", 5), ("c", 7), ("d", 100)].map(|(k, v)| (k.to_owned(), v)));
        assert_eq!(expected(&tasks, &known), Some(17));
        assert_eq!(expected(&tasks, &BTreeMap::new()), None);
    }
}
