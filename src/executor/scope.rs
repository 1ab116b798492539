//! What a step's templates can name when it runs.

use crate::driver::Facts;
use crate::lab::model::{Lab, Step};
use crate::plan::{Task, TaskKind};
use crate::state::outputs::{self, Outputs};
use crate::template::Scope;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::path::Path;

/// The scope of a step on a node, and the secrets that must not be shown.
pub struct StepScope {
    pub scope: Scope,
    pub secrets: Vec<String>,
}

/// Values, inputs, `node`, `nodes`, `lab`, `driver`, `outputs`; inputs hide values of the same name.
pub fn of_step(lab: &Lab, step: &Step, node: &str, facts: &Facts, tasks: &[Task], dir: &Path) -> StepScope {
    let mut scope: Scope = lab.values.clone().into_iter().collect();
    scope.extend(step.inputs.clone());
    let nodes: Vec<Json> = lab.nodes.iter().enumerate().map(|(i, n)| node_json(i, n)).collect();
    let mine = nodes.iter().find(|n| n["name"] == node).cloned().unwrap_or(Json::Null);
    scope.insert("node".into(), mine);
    scope.insert("nodes".into(), Json::Array(nodes));
    scope.insert("lab".into(), json!({"name": lab.name, "title": lab.title}));
    scope.insert("driver".into(), serde_json::to_value(facts).unwrap_or(Json::Null));
    let (outputs, secrets) = outputs_of(lab, step, node, tasks, dir);
    scope.insert("outputs".into(), json!(outputs));
    StepScope { scope, secrets }
}

fn node_json(index: usize, node: &crate::lab::model::Node) -> Json {
    json!({
        "name": node.name,
        "index": index,
        "address": node.address().map(|a| a.to_string()),
        "cpus": node.cpus,
        "memory": node.memory,
    })
}

/// What earlier steps left: siblings of a composite step by their short names. All secrets count, also those that this
/// step does not read: its script may print a file that holds one.
fn outputs_of(
    lab: &Lab,
    step: &Step,
    node: &str,
    tasks: &[Task],
    dir: &Path,
) -> (BTreeMap<String, BTreeMap<String, String>>, Vec<String>) {
    let prefix = step.name.rsplit_once('/').map_or(String::new(), |(p, _)| format!("{p}/"));
    let mut visible: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    let mut secrets = Vec::new();
    for task in tasks {
        let TaskKind::Step { index, nodes } = &task.kind else { continue };
        let Some(producer) = lab.steps.get(*index).filter(|s| !s.outputs.is_empty()) else { continue };
        let Some(Outputs { values, secret }) = outputs::load(dir, &task.id) else { continue };
        secrets.extend(secret.iter().filter_map(|name| values.get(name).cloned()));
        let short = producer.name.strip_prefix(&prefix).filter(|s| !s.contains('/'));
        if let Some(short) = short {
            // A producer on several nodes: each node sees its own, the others the first.
            if nodes.iter().any(|n| n == node) || !visible.contains_key(short) {
                visible.insert(short.to_owned(), values);
            }
        }
    }
    (visible, secrets)
}
