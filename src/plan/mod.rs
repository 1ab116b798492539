//! From a lab, what is observed and what is recorded, to a graph of tasks. Pure: no I/O, no async.

mod expect;
mod json;
mod key;
mod select;
mod show;

pub use expect::expected;
pub use json::json;
pub use select::{Selection, check, select};
pub use show::show;

use crate::driver::Facts;
use crate::lab::model::{Action, Lab, Step};
use crate::state::journal::{Record, What};
use std::collections::{BTreeMap, BTreeSet};

/// A vertex of the plan.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// "boot n1", "init@flannel-ctr", "observe before".
    pub id: String,
    pub kind: TaskKind,
    /// Identifiers of tasks that must be done before.
    pub needs: BTreeSet<String>,
    /// Identifiers of tasks whose outputs this one reads; also among `needs`.
    pub reads: BTreeSet<String>,
    /// What it would do, as a digest. Empty for nodes.
    pub key: String,
    pub verdict: Verdict,
    /// It was begun before on this node, whether it was finished or not: undo comes first.
    pub retried: bool,
    /// The very same thing was begun and nobody saw its end: it may still run on the node, or have ended there.
    pub resumable: bool,
    /// It looks at something and changes nothing: what follows need not run for its sake.
    pub only_looks: bool,
}

/// What a task does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskKind {
    /// Make, start and reach a node.
    Boot { node: String },
    /// A step on one node; for an observation, on several at one moment.
    Step { index: usize, nodes: Vec<String> },
}

/// Whether a task will run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Run { why: String },
    Done,
}

/// What is known before planning.
pub struct Known<'a> {
    pub facts: &'a Facts,
    pub records: &'a [Record],
    /// The nodes that run and answer.
    pub running: &'a BTreeSet<String>,
    /// The nodes that run and do not answer.
    pub silent: &'a BTreeSet<String>,
    /// The nodes that have no disk, so that nothing was ever done on them.
    pub absent: &'a BTreeSet<String>,
    /// Which disk each node has: see [`crate::state::birth`].
    pub births: &'a BTreeMap<String, String>,
    /// Tasks whose outputs are not there any more, or damaged.
    pub lost_outputs: &'a BTreeSet<String>,
    /// Seconds since 1970.
    pub now: u64,
}

/// The plan: tasks in an order that respects their needs.
pub fn plan(lab: &Lab, known: &Known) -> Vec<Task> {
    let mut tasks: Vec<Task> = lab.nodes.iter().map(|node| boot(&node.name, known)).collect();
    let mut last: BTreeMap<&str, String> = lab.nodes.iter().map(|n| (n.name.as_str(), boot_id(&n.name))).collect();
    let mut of_step: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let mut keys: BTreeMap<&str, String> = BTreeMap::new();
    for (index, step) in lab.steps.iter().enumerate() {
        let producers = key::producers(step, &lab.steps[..index]);
        let key = key::of(step, lab, known.facts, producers.iter().filter_map(|p| keys.get(p.as_str())));
        let mut ids = Vec::new();
        for nodes in groups(step) {
            let id = task_id(step, &nodes);
            let mut needs: BTreeSet<String> = nodes.iter().filter_map(|n| last.get(n.as_str()).cloned()).collect();
            let tasks_of = |name: &String| of_step.get(name.as_str()).cloned().unwrap_or_default();
            needs.extend(step.needs.iter().flat_map(|need| tasks_matching(&of_step, need)));
            let reads: BTreeSet<String> = producers.iter().flat_map(tasks_of).collect();
            needs.extend(reads.iter().cloned());
            needs.remove(&id);
            let kind = TaskKind::Step { index, nodes: nodes.clone() };
            let task = Task {
                id: id.clone(),
                kind,
                needs,
                reads,
                key: key.clone(),
                verdict: Verdict::Done,
                retried: false,
                resumable: false,
                only_looks: !matches!(step.action, Action::Run { .. } | Action::File { .. }),
            };
            // A picture of a node is no test of it.
            let tests = !matches!(step.action, Action::Observe { .. });
            tasks.push(judge(task, &nodes, tests, &tasks, known));
            ids.push((id, nodes));
        }
        for (id, nodes) in &ids {
            for node in nodes {
                if let Some(node) = lab.node(node) {
                    last.insert(&node.name, id.clone());
                }
            }
        }
        of_step.insert(&step.name, ids.into_iter().map(|(id, _)| id).collect());
        keys.insert(&step.name, key);
    }
    tell_late_pictures(&mut tasks, lab);
    renew_expired(&mut tasks, lab, known);
    tasks
}

/// An observation that was left out is taken when there is more to see than the file's order says: that is told.
fn tell_late_pictures(tasks: &mut [Task], lab: &Lab) {
    let is_picture = |task: &Task| match task.kind {
        TaskKind::Step { index, .. } => matches!(lab.steps[index].action, Action::Observe { .. }),
        TaskKind::Boot { .. } => false,
    };
    let done: Vec<(String, BTreeSet<String>)> =
        tasks.iter().filter(|t| t.verdict == Verdict::Done).map(|t| (t.id.clone(), t.needs.clone())).collect();
    for task in tasks.iter_mut().filter(|t| is_picture(t)) {
        let later = done.iter().find(|(_, needs)| needs.contains(&task.id));
        if let (Verdict::Run { why }, Some((later, _))) = (&mut task.verdict, later) {
            *why += &format!(", and will show what {later} did, too");
        }
    }
}

/// The tasks of a step, or of all parts of a composite step.
fn tasks_matching(of_step: &BTreeMap<&str, Vec<String>>, need: &str) -> Vec<String> {
    let inside = format!("{need}/");
    let matching = of_step.iter().filter(|(name, _)| **name == need || name.starts_with(&inside));
    matching.flat_map(|(_, ids)| ids.clone()).collect()
}

/// An observation is one moment of all its nodes; everything else is done node by node.
fn groups(step: &Step) -> Vec<Vec<String>> {
    match step.action {
        Action::Observe { .. } => vec![step.on.clone()],
        _ => step.on.iter().map(|node| vec![node.clone()]).collect(),
    }
}

/// The identifier of a node's boot.
pub fn boot_id(node: &str) -> String {
    format!("boot {node}")
}

/// The identifier of a step's task on these nodes.
pub fn task_id(step: &Step, nodes: &[String]) -> String {
    match (&step.action, nodes) {
        (Action::Observe { name }, _) => format!("observe {name}"),
        (_, [node]) => format!("{}@{node}", step.name),
        _ => step.name.clone(),
    }
}

fn boot(node: &str, known: &Known) -> Task {
    let verdict = if known.running.contains(node) {
        Verdict::Done
    } else if known.absent.contains(node) {
        Verdict::Run { why: "it does not exist".into() }
    } else if known.silent.contains(node) {
        Verdict::Run { why: "it runs, but does not answer".into() }
    } else {
        Verdict::Run { why: "it is stopped".into() }
    };
    let (needs, reads) = (BTreeSet::new(), BTreeSet::new());
    let kind = TaskKind::Boot { node: node.to_owned() };
    let (retried, resumable, only_looks) = (false, false, false);
    Task { id: boot_id(node), kind, needs, reads, key: String::new(), verdict, retried, resumable, only_looks }
}

/// The record after which the journal speaks of the node's disk: its last birth, or a loss.
pub fn origin<'a>(records: &'a [Record], boot: &str) -> Option<&'a Record> {
    records.iter().rfind(|r| is_origin(r, boot))
}

fn is_origin(record: &Record, boot: &str) -> bool {
    match record.what {
        What::Created => record.task == boot,
        What::Lost => record.task == boot || record.task.is_empty(),
        _ => false,
    }
}

/// How far the journal can be believed for some nodes.
struct History {
    /// The first record that counts.
    since: usize,
    /// Steps may have been begun that no record tells of.
    doubt: bool,
    /// It is about these very disks.
    ours: bool,
}

impl History {
    fn of(nodes: &[String], known: &Known) -> Self {
        let mut all = Self { since: 0, doubt: false, ours: true };
        for node in nodes.iter().filter(|n| !known.absent.contains(*n)) {
            let boot = boot_id(node);
            let Some(at) = known.records.iter().rposition(|r| is_origin(r, &boot)) else {
                all.ours = false;
                continue;
            };
            let origin = &known.records[at];
            let birth = known.births.get(node).map_or("", String::as_str);
            all.since = all.since.max(at);
            all.doubt |= origin.what == What::Lost;
            all.ours &= origin.task == boot && origin.key == birth;
        }
        Self { doubt: all.doubt || !all.ours, ..all }
    }
}

/// Whether a step's task runs: it was never done, does something else now, or follows one that runs again. What was
/// waited for or checked (`tests`) before a node was stopped is looked at again when it starts.
fn judge(mut task: Task, nodes: &[String], tests: bool, before: &[Task], known: &Known) -> Task {
    let history = History::of(nodes, known);
    let last = known.records.iter().skip(history.since).rfind(|r| r.task == task.id).filter(|_| history.ours);
    let gone = nodes.iter().any(|n| known.absent.contains(n));
    let follows = |t: &&Task| task.needs.contains(&t.id) && matches!(t.kind, TaskKind::Step { .. });
    let again = before.iter().find(|t| follows(t) && t.verdict != Verdict::Done && !t.only_looks);
    let started = before.iter().any(|t| nodes.iter().any(|n| t.id == boot_id(n)) && t.verdict != Verdict::Done);
    let why = match last {
        _ if gone => Some("its node does not exist".to_owned()),
        None if history.doubt => Some("what was done on its node is not known".to_owned()),
        None => Some("it was never run".to_owned()),
        Some(r) if r.what == What::Failed => Some("it failed".to_owned()),
        Some(r) if r.what == What::Started => Some("it was begun and not finished".to_owned()),
        Some(r) if r.key != task.key => Some("it says something else now".to_owned()),
        Some(_) if again.is_some() => again.map(|t| format!("{} runs again", t.id)),
        Some(_) => (tests && task.only_looks && started).then(|| "its node starts again".to_owned()),
    };
    task.only_looks &= !gone && again.is_none();
    task.retried = !gone && (last.is_some() || history.doubt);
    task.resumable = !gone && last.is_some_and(|r| r.what == What::Started && r.key == task.key);
    task.verdict = why.map_or(Verdict::Done, |why| Verdict::Run { why });
    task
}

/// A task that will run reads outputs: where one has expired or is lost, its producer runs again, alone.
fn renew_expired(tasks: &mut [Task], lab: &Lab, known: &Known) {
    let wanted: BTreeSet<String> =
        tasks.iter().filter(|t| t.verdict != Verdict::Done).flat_map(|t| t.reads.iter().cloned()).collect();
    for task in tasks.iter_mut().filter(|t| t.verdict == Verdict::Done && wanted.contains(&t.id)) {
        let TaskKind::Step { index, .. } = task.kind else { continue };
        if known.lost_outputs.contains(&task.id) {
            task.verdict = Verdict::Run { why: "its output is not there any more".into() };
            continue;
        }
        let lifetime = lab.steps.get(index).and_then(|s| s.outputs.iter().filter_map(|o| o.lifetime).min());
        let done = known.records.iter().rfind(|r| r.task == task.id && r.what == What::Done);
        if let (Some(lifetime), Some(done)) = (lifetime, done)
            && known.now.saturating_sub(done.time) >= lifetime
        {
            task.verdict = Verdict::Run { why: "its output has expired".into() };
        }
    }
}

#[cfg(test)]
mod tests;
