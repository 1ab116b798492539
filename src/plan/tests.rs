use super::*;
use crate::lab::resolve::{Sources, resolve};

const LAB: &str = "\
lab: two
image: plain
networks: {lan: {kind: host-only, subnet: 192.168.20.0/24}}
nodes:
  n1: {networks: {lan: 192.168.20.11}}
  n2: {networks: {lan: 192.168.20.12}}
steps:
  - {name: token, on: n1, run: 'echo x > $LAB_OUTPUTS/value', outputs: {value: {secret: true, lifetime: 5m}}}
  - {name: local, on: n1, run: 'true'}
  - {name: join, on: n2, run: 'echo {{ outputs.token.value }}'}
  - {name: late, on: n2, run: 'true', needs: local}
  - {observe: after}
";

fn lab(text: &str) -> Lab {
    let library = |_: &str| Some(("x".to_owned(), String::new()));
    resolve(&Sources { name: "l", text, library: &library, set: &BTreeMap::new() }).unwrap()
}

fn facts() -> Facts {
    Facts {
        name: "fake".into(),
        description: String::new(),
        slowness: 1,
        emulated: false,
        nested_kernel: false,
        oom_adjust: true,
        cgroup_v1: false,
    }
}

struct World {
    records: Vec<Record>,
    running: BTreeSet<String>,
    silent: BTreeSet<String>,
    absent: BTreeSet<String>,
    births: BTreeMap<String, String>,
    lost_outputs: BTreeSet<String>,
    now: u64,
}

impl World {
    fn new() -> Self {
        let nodes: BTreeSet<String> = ["n1".to_owned(), "n2".to_owned()].into();
        Self {
            records: Vec::new(),
            running: BTreeSet::new(),
            silent: BTreeSet::new(),
            absent: nodes,
            births: BTreeMap::new(),
            lost_outputs: BTreeSet::new(),
            now: 1000,
        }
    }

    fn plan(&self, text: &str) -> Vec<Task> {
        self.plan_with(text, &facts())
    }

    fn plan_with(&self, text: &str, facts: &Facts) -> Vec<Task> {
        let known = Known {
            facts,
            records: &self.records,
            running: &self.running,
            silent: &self.silent,
            absent: &self.absent,
            births: &self.births,
            lost_outputs: &self.lost_outputs,
            now: self.now,
        };
        plan(&lab(text), &known)
    }

    fn finish(&mut self, tasks: &[Task]) {
        self.running = std::mem::take(&mut self.absent);
        for task in tasks {
            let what = if matches!(task.kind, TaskKind::Boot { .. }) { What::Created } else { What::Done };
            self.records.push(Record { time: self.now, task: task.id.clone(), key: task.key.clone(), what });
        }
    }
}

fn running(tasks: &[Task]) -> Vec<&str> {
    tasks.iter().filter(|t| t.verdict != Verdict::Done).map(|t| t.id.as_str()).collect()
}

fn needs<'a>(tasks: &'a [Task], id: &str) -> Vec<&'a str> {
    let task = tasks.iter().find(|t| t.id == id).unwrap();
    task.needs.iter().map(String::as_str).collect()
}

#[test]
fn order_is_the_files_on_each_node_plus_needs_and_outputs() {
    let tasks = World::new().plan(LAB);
    assert_eq!(needs(&tasks, "token@n1"), ["boot n1"]);
    assert_eq!(needs(&tasks, "local@n1"), ["token@n1"]);
    assert_eq!(needs(&tasks, "join@n2"), ["boot n2", "token@n1"]);
    assert_eq!(needs(&tasks, "late@n2"), ["join@n2", "local@n1"]);
    assert_eq!(needs(&tasks, "observe after"), ["late@n2", "local@n1"]);
}

#[test]
fn a_finished_lab_has_nothing_to_do() {
    let mut world = World::new();
    let tasks = world.plan(LAB);
    assert_eq!(running(&tasks).len(), tasks.len());
    world.finish(&tasks);
    assert_eq!(running(&world.plan(LAB)), [""; 0]);
}

#[test]
fn an_edited_step_and_what_follows_run_again() {
    let mut world = World::new();
    let tasks = world.plan(LAB);
    world.finish(&tasks);
    let edited = LAB.replace("name: local, on: n1, run: 'true'", "name: local, on: n1, run: 'false'");
    let tasks = world.plan(&edited);
    assert_eq!(running(&tasks), ["local@n1", "late@n2", "observe after"]);
    assert!(tasks.iter().find(|t| t.id == "local@n1").unwrap().retried);
    let late = tasks.iter().find(|t| t.id == "late@n2").unwrap();
    assert!(late.retried && !late.resumable, "it is done again, and what it did before is over");
}

#[test]
fn what_is_true_of_the_driver_counts_and_what_is_said_of_it_does_not() {
    let mut world = World::new();
    let asks =
        LAB.replace("name: local, on: n1, run: 'true'", "name: local, on: n1, run: 'echo {{ driver.emulated }}'");
    let tasks = world.plan(&asks);
    world.finish(&tasks);
    let upgraded = Facts { description: "QEMU 10.0.3".into(), ..facts() };
    assert_eq!(running(&world.plan_with(&asks, &upgraded)), [""; 0]);
    let slower = Facts { emulated: true, ..facts() };
    assert_eq!(running(&world.plan_with(&asks, &slower)), ["local@n1", "late@n2", "observe after"]);
}

#[test]
fn a_step_that_was_cut_runs_again_with_undo() {
    let mut world = World::new();
    let tasks = world.plan(LAB);
    world.finish(&tasks);
    let key = tasks.iter().find(|t| t.id == "join@n2").unwrap().key.clone();
    world.records.push(Record { time: 1, task: "join@n2".into(), key, what: What::Started });
    let tasks = world.plan(LAB);
    assert_eq!(running(&tasks), ["join@n2", "late@n2", "observe after"]);
    let join = tasks.iter().find(|t| t.id == "join@n2").unwrap();
    assert!(join.retried && join.resumable);
}

#[test]
fn an_expired_output_runs_its_producer_alone() {
    let mut world = World::new();
    let tasks = world.plan(LAB);
    world.finish(&tasks);
    world.now += 301;
    assert_eq!(running(&world.plan(LAB)), [""; 0], "nobody wants it");
    let edited = LAB.replace("echo {{ outputs", "echo  {{ outputs");
    assert_eq!(running(&world.plan(&edited)), ["token@n1", "join@n2", "late@n2", "observe after"]);
}

#[test]
fn a_node_that_starts_again_is_looked_at_and_nothing_is_done_again() {
    let text = LAB.replace(
        "  - {name: late",
        "  - {name: ready, on: n2, check: {description: ready, run: 'true'}}\n  - {name: late",
    );
    let mut world = World::new();
    let tasks = world.plan(&text);
    world.finish(&tasks);
    world.running.remove("n2");
    assert_eq!(running(&world.plan(&text)), ["boot n2", "ready@n2"]);
    // What it follows runs again: then so does what comes after.
    let edited = text.replace("echo {{ outputs", "echo  {{ outputs");
    assert_eq!(running(&world.plan(&edited)), ["boot n2", "join@n2", "ready@n2", "late@n2", "observe after"]);
    let key = tasks.iter().find(|t| t.id == "ready@n2").unwrap().key.clone();
    world.running.insert("n2".into());
    world.records.push(Record { time: 1, task: "ready@n2".into(), key, what: What::Failed });
    assert_eq!(running(&world.plan(&text)), ["ready@n2"], "a look that failed is no reason to do things again");
}

#[test]
fn a_node_that_runs_and_does_not_answer_is_waited_for_and_looked_at_again() {
    let text = LAB.replace(
        "  - {name: late",
        "  - {name: ready, on: n2, check: {description: ready, run: 'true'}}\n  - {name: late",
    );
    let mut world = World::new();
    let tasks = world.plan(&text);
    world.finish(&tasks);
    world.running.remove("n2");
    world.silent.insert("n2".into());
    let tasks = world.plan(&text);
    assert_eq!(running(&tasks), ["boot n2", "ready@n2"]);
    assert_eq!(tasks[1].verdict, Verdict::Run { why: "it runs, but does not answer".into() });
}

#[test]
fn a_node_made_anew_has_nothing_done() {
    let mut world = World::new();
    let tasks = world.plan(LAB);
    world.finish(&tasks);
    world.running.remove("n2");
    world.absent.insert("n2".into());
    assert_eq!(running(&world.plan(LAB)), ["boot n2", "join@n2", "late@n2", "observe after"]);
}

#[test]
fn a_lost_output_runs_its_producer_alone_when_it_is_wanted() {
    let mut world = World::new();
    let tasks = world.plan(LAB);
    world.finish(&tasks);
    world.lost_outputs.insert("token@n1".into());
    assert_eq!(running(&world.plan(LAB)), [""; 0], "nobody wants it");
    let edited = LAB.replace("echo {{ outputs", "echo  {{ outputs");
    assert_eq!(running(&world.plan(&edited)), ["token@n1", "join@n2", "late@n2", "observe after"]);
}

#[test]
fn a_journal_of_another_disk_proves_nothing_and_undo_comes_first() {
    let mut world = World::new();
    let tasks = world.plan(LAB);
    world.finish(&tasks);
    world.births.insert("n2".into(), "another".into());
    let tasks = world.plan(LAB);
    assert_eq!(running(&tasks), ["join@n2", "late@n2", "observe after"]);
    assert!(tasks.iter().find(|t| t.id == "join@n2").unwrap().retried);
    let lost = Record { time: 1, task: "boot n2".into(), key: "another".into(), what: What::Lost };
    world.records.push(lost);
    let join = |tasks: Vec<Task>| tasks.into_iter().find(|t| t.id == "join@n2").unwrap();
    assert!(join(world.plan(LAB)).retried, "also when the next run was cut before it");
    let key = join(world.plan(LAB)).key;
    world.records.push(Record { time: 1, task: "join@n2".into(), key, what: What::Done });
    assert_eq!(running(&world.plan(LAB)), ["late@n2", "observe after"], "what was done since is known");
}

/// What the journal can lose, it loses in the direction of doing again: no prefix of it makes a step done that the node
/// does not have.
#[test]
fn no_prefix_of_a_journal_takes_a_step_for_done_on_a_disk_where_it_was_not() {
    let mut world = World::new();
    let tasks = world.plan(LAB);
    world.finish(&tasks);
    let born = |key: &str| Record { time: 2, task: "boot n1".into(), key: key.into(), what: What::Created };
    world.records.push(born("second"));
    world.births.insert("n1".into(), "second".into());
    let done = tasks.iter().find(|t| t.id == "token@n1").unwrap();
    let started = Record { time: 3, task: done.id.clone(), key: done.key.clone(), what: What::Started };
    world.records.push(started);
    let all = world.records.clone();
    for length in 0..=all.len() {
        world.records = all[..length].to_vec();
        let runs = world.plan(LAB);
        assert!(running(&runs).contains(&"token@n1"), "after {length} records");
    }
    world.records = all;
    world.records.push(Record { time: 4, task: String::new(), key: String::new(), what: What::Lost });
    let tasks = world.plan(LAB);
    assert!(running(&tasks).len() == 5 && tasks.iter().filter(|t| !t.key.is_empty()).all(|t| t.retried));
}

/// As after `up --only n1`: an observation of all nodes is left out, and what follows it is done.
#[test]
fn an_observation_that_was_left_out_runs_nothing_again() {
    let text = LAB.replace("  - {name: join", "  - {observe: before}\n  - {name: join");
    let mut world = World::new();
    let tasks: Vec<Task> = world.plan(&text).into_iter().filter(|t| t.id != "observe before").collect();
    world.finish(&tasks);
    let tasks = world.plan(&text);
    assert_eq!(running(&tasks), ["observe before"]);
    let picture = tasks.iter().find(|t| t.id == "observe before").unwrap();
    let why = "it was never run, and will show what join@n2 did, too";
    assert_eq!(picture.verdict, Verdict::Run { why: why.into() });
    // What comes before it runs again: then it is taken again, and what follows runs again.
    let edited = text.replace("name: local, on: n1, run: 'true'", "name: local, on: n1, run: 'false'");
    world.records.push(Record { time: 1, task: picture.id.clone(), key: picture.key.clone(), what: What::Done });
    assert_eq!(running(&world.plan(&edited)), ["local@n1", "observe before", "join@n2", "late@n2", "observe after"]);
    // A node that starts again is looked at, but no picture is taken anew.
    world.running.remove("n2");
    assert_eq!(running(&world.plan(&text)), ["boot n2"]);
}
