//! A plan for people: the lab's steps as a tree, with what would run, after what, and why.

use super::{Task, TaskKind, Verdict};
use crate::lab::model::Lab;
use std::collections::BTreeSet;

/// Columns before what a line says of its task.
const WIDTH: usize = 34;

/// The plan as a tree: composite steps hold their parts. What is done is marked `=`, what runs `+`, with the reason.
pub fn show(lab: &Lab, tasks: &[Task]) -> String {
    let mut root = Branch::default();
    for task in tasks {
        match &task.kind {
            TaskKind::Boot { node } => root.at(&["boot"]).leaf(task, "boot", std::slice::from_ref(node), Vec::new()),
            TaskKind::Step { index, nodes } => {
                let Some(step) = lab.steps.get(*index) else { continue };
                let path: Vec<&str> = step.name.split('/').collect();
                let after = after(task, &path, tasks, nodes);
                root.at(&path).leaf(task, step.action.verb(), nodes, after);
            }
        }
    }
    let mut out = format!("{}: {}\n", lab.name, lab.title);
    root.print("", &mut out);
    let runs = tasks.iter().filter(|t| t.verdict != Verdict::Done).count();
    out += &format!("{runs} of {} tasks would run (+), {} are done (=)\n", tasks.len(), tasks.len() - runs);
    out
}

/// What a task waits for on other nodes: the order on its own is the file's. Siblings in a composite step by their short
/// names, parts of another one by its name.
fn after(task: &Task, path: &[&str], tasks: &[Task], own: &[String]) -> Vec<String> {
    let elsewhere = tasks.iter().filter(|t| task.needs.contains(&t.id)).filter(|t| match &t.kind {
        TaskKind::Boot { .. } => false,
        TaskKind::Step { nodes, .. } => !nodes.iter().all(|n| own.contains(n)),
    });
    let short = |id: &str| {
        let full: Vec<&str> = id.split('@').next().unwrap_or_default().split('/').collect();
        let common = full.iter().zip(path).take_while(|(a, b)| a == b).count();
        full.get(common).copied().unwrap_or_default().to_owned()
    };
    elsewhere.map(|t| short(&t.id)).collect::<BTreeSet<String>>().into_iter().collect()
}

/// A step with its parts, or with what it does on its nodes.
#[derive(Default)]
struct Branch {
    name: String,
    parts: Vec<Branch>,
    leaves: Vec<Leaf>,
}

/// What a step does on nodes where it does the same for the same reason.
#[derive(PartialEq)]
struct Leaf {
    done: bool,
    verb: &'static str,
    nodes: Vec<String>,
    why: String,
    after: Vec<String>,
}

impl Branch {
    fn at(&mut self, path: &[&str]) -> &mut Self {
        let [name, rest @ ..] = path else { return self };
        let index = self.parts.iter().position(|p| p.name == *name).unwrap_or_else(|| {
            self.parts.push(Self { name: (*name).to_owned(), ..Self::default() });
            self.parts.len() - 1
        });
        self.parts[index].at(rest)
    }

    fn leaf(&mut self, task: &Task, verb: &'static str, nodes: &[String], after: Vec<String>) {
        let (done, why) = match &task.verdict {
            Verdict::Done => (true, "done".to_owned()),
            Verdict::Run { why } => (false, why.clone()),
        };
        let same = |l: &&mut Leaf| l.done == done && l.why == why && l.after == after && l.verb == verb;
        match self.leaves.iter_mut().find(same) {
            Some(leaf) => leaf.nodes.extend_from_slice(nodes),
            None => self.leaves.push(Leaf { done, verb, nodes: nodes.to_vec(), why, after }),
        }
    }

    fn print(&self, indent: &str, out: &mut String) {
        for (number, part) in self.parts.iter().enumerate() {
            let last = number + 1 == self.parts.len();
            let (branch, inside) = if last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
            if part.leaves.is_empty() {
                *out += &format!("{indent}{branch}{}\n", part.name);
            }
            for (number, leaf) in part.leaves.iter().enumerate() {
                // Nodes for which it is different go below each other.
                let begin = if number == 0 { branch } else { inside };
                let name = if number == 0 { part.name.as_str() } else { "" };
                let mark = if leaf.done { "=" } else { "+" };
                let head = format!("{indent}{begin}{mark} {name}");
                let after =
                    if leaf.after.is_empty() { String::new() } else { format!(", after {}", leaf.after.join(", ")) };
                *out += &format!("{head:<WIDTH$} {:<8} {}: {}{after}\n", leaf.verb, leaf.nodes.join(", "), leaf.why);
            }
            part.print(&format!("{indent}{inside}"), out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::Driver;
    use crate::driver::fake::Fake;
    use crate::lab::resolve::{Sources, resolve};
    use crate::plan::{Known, plan};
    use crate::state::journal::{Record, What};
    use std::collections::BTreeMap;

    const LAB: &str = "\
lab: two
image: plain
nodes: {n1: {}, n2: {}}
steps:
  - {name: join, uses: join}
  - {observe: after}
  - {name: proof, on: n1, run: 'true'}
";

    const JOIN: &str = "\
steps:
  - {name: token, on: n1, run: 'true', outputs: {value: {}}}
  - {name: join, on: n2, run: 'echo {{ outputs.token.value }}'}
";

    #[test]
    fn composite_steps_hold_their_parts_and_other_nodes_are_waited_for() {
        let library = |_: &str| Some(("x".to_owned(), JOIN.to_owned()));
        let lab = resolve(&Sources { name: "l", text: LAB, library: &library, set: &BTreeMap::new() }).unwrap();
        let (running, absent) = (BTreeSet::from(["n1".to_owned()]), BTreeSet::from(["n2".to_owned()]));
        let facts = Fake::new();
        let born = Record { time: 0, task: "boot n1".into(), key: String::new(), what: What::Created };
        let known = Known {
            facts: facts.facts(),
            records: &[born],
            running: &running,
            silent: &BTreeSet::new(),
            absent: &absent,
            births: &BTreeMap::new(),
            lost_outputs: &BTreeSet::new(),
            now: 0,
        };
        let shown = show(&lab, &plan(&lab, &known));
        let expected = "\
two: two
├─ = boot                          boot     n1: done
│  +                               boot     n2: it does not exist
├─ join
│  ├─ + token                      run      n1: it was never run
│  └─ + join                       run      n2: its node does not exist, after token
├─ + after                         observe  n1, n2: its node does not exist
└─ + proof                         run      n1: it was never run, after observe after
5 of 6 tasks would run (+), 1 are done (=)
";
        assert_eq!(shown, expected, "{shown}");
    }
}
