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
    absent: BTreeSet<String>,
    now: u64,
}

impl World {
    fn new() -> Self {
        let nodes: BTreeSet<String> = ["n1".to_owned(), "n2".to_owned()].into();
        Self { records: Vec::new(), running: BTreeSet::new(), absent: nodes, now: 1000 }
    }

    fn plan(&self, text: &str) -> Vec<Task> {
        let known = Known {
            facts: &facts(),
            records: &self.records,
            running: &self.running,
            absent: &self.absent,
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
fn a_node_made_anew_has_nothing_done() {
    let mut world = World::new();
    let tasks = world.plan(LAB);
    world.finish(&tasks);
    world.running.remove("n2");
    world.absent.insert("n2".into());
    assert_eq!(running(&world.plan(LAB)), ["boot n2", "join@n2", "late@n2", "observe after"]);
}
