use super::super::{Known, plan};
use super::*;
use crate::driver::Facts;
use crate::lab::resolve::{Sources, resolve};

const LAB: &str = "\
lab: l
image: plain
networks: {lan: {kind: host-only, subnet: 192.168.20.0/24}}
nodes:
  n1: {networks: {lan: 192.168.20.11}}
  n2: {networks: {lan: 192.168.20.12}}
steps:
  - {name: token, on: n1, run: 'echo x > $LAB_OUTPUTS/value', outputs: {value: {}}}
  - {name: own, on: n2, run: 'true'}
  - {observe: before}
  - {name: alone, on: n2, run: 'true'}
  - {name: join, on: n2, run: 'echo {{ outputs.token.value }}'}
  - {observe: after}
";

fn selected(wish: Selection) -> Result<Vec<Task>> {
    let library = |_: &str| Some(("x".to_owned(), String::new()));
    let lab = resolve(&Sources { name: "l", text: LAB, library: &library, set: &BTreeMap::new() }).unwrap();
    let facts = Facts {
        name: "fake".into(),
        description: String::new(),
        slowness: 1,
        emulated: false,
        nested_kernel: false,
        oom_adjust: true,
        cgroup_v1: false,
    };
    let (running, absent) = (BTreeSet::new(), BTreeSet::new());
    let births = Default::default();
    let known = Known {
        facts: &facts,
        records: &[],
        running: &running,
        silent: &absent,
        absent: &absent,
        births: &births,
        lost_outputs: &absent,
        now: 0,
    };
    let mut tasks = plan(&lab, &known);
    tasks.iter_mut().for_each(|t| t.verdict = Verdict::Done);
    select(&lab, tasks, &wish)
}

fn ids(tasks: &[Task]) -> Vec<&str> {
    tasks.iter().map(|t| t.id.as_str()).collect()
}

#[test]
fn up_to_a_step_in_the_files_order() {
    let tasks = selected(Selection { to: Some("before".into()), ..Default::default() }).unwrap();
    assert_eq!(ids(&tasks), ["boot n1", "boot n2", "token@n1", "own@n2", "observe before"]);
}

#[test]
fn from_a_step_on_all_runs_again() {
    let tasks = selected(Selection { from: Some("alone".into()), ..Default::default() }).unwrap();
    let runs: Vec<&Task> = tasks.iter().filter(|t| t.verdict != Verdict::Done).collect();
    assert_eq!(runs.iter().map(|t| t.id.as_str()).collect::<Vec<_>>(), ["alone@n2", "join@n2", "observe after"]);
    assert_eq!(tasks.len(), 8);
}

#[test]
fn only_a_node_with_what_its_steps_need_elsewhere() {
    let only = |node: &str| selected(Selection { only: vec![node.into()], ..Default::default() }).unwrap();
    assert_eq!(ids(&only("n1")), ["boot n1", "token@n1"]);
    let tasks = only("n2");
    assert_eq!(ids(&tasks), ["boot n1", "boot n2", "token@n1", "own@n2", "alone@n2", "join@n2"]);
    let alone = tasks.iter().find(|t| t.id == "alone@n2").unwrap();
    assert_eq!(alone.needs.iter().collect::<Vec<_>>(), ["own@n2"], "in the place of the observation");
    let join = tasks.iter().find(|t| t.id == "join@n2").unwrap();
    assert!(join.needs.contains("token@n1"));
}

#[test]
fn what_the_lab_does_not_have_is_named() {
    let e = selected(Selection { to: Some("alnoe".into()), ..Default::default() }).unwrap_err();
    assert!(e.why.contains("token, own, before, alone, join, after"), "{e}");
    assert_eq!(e.hint.unwrap(), "did you mean `alone`?");
    assert!(selected(Selection { only: vec!["n3".into()], ..Default::default() }).is_err());
}
