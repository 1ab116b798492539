//! What a step's templates can name when it runs.

use crate::driver::Facts;
use crate::lab::model::{Lab, Step};
use crate::lab::scope;
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
    let mut scope = with_driver(scope::of(lab, &step.inputs, Some(node)), facts);
    let (outputs, secrets) = outputs_of(lab, step, node, tasks, dir);
    scope.insert("outputs".into(), json!(outputs));
    StepScope { scope, secrets }
}

/// What a script on a node can name that belongs to no step: values, `node`, `nodes`, `lab`, `driver`.
pub fn of_node(lab: &Lab, node: &str, facts: &Facts) -> Scope {
    with_driver(scope::of(lab, &BTreeMap::new(), Some(node)), facts)
}

fn with_driver(mut scope: Scope, facts: &Facts) -> Scope {
    scope.insert("driver".into(), serde_json::to_value(facts).unwrap_or(Json::Null));
    scope
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
    let mut visible: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    let mut secrets = Vec::new();
    for task in tasks {
        let TaskKind::Step { index, nodes } = &task.kind else { continue };
        let Some(producer) = lab.steps.get(*index).filter(|s| !s.outputs.is_empty()) else { continue };
        let Some(Outputs { values, secret }) = outputs::load(dir, &task.id) else { continue };
        secrets.extend(secret.iter().filter_map(|name| values.get(name).cloned()));
        if let Some(short) = scope::short_name(&producer.name, &step.name) {
            // A producer on several nodes: each node sees its own, the others the first.
            if nodes.iter().any(|n| n == node) || !visible.contains_key(short) {
                visible.insert(short.to_owned(), values);
            }
        }
    }
    (visible, secrets)
}

#[cfg(test)]
mod tests {
    use crate::driver::Driver;
    use crate::driver::fake::Fake;
    use std::collections::BTreeSet;

    #[test]
    fn templates_know_the_facts_that_drivers_supply() {
        let facts = serde_json::to_value(Fake::new().facts()).unwrap();
        let supplied: BTreeSet<&str> = facts.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(supplied, crate::lab::scope::DRIVER.into());
    }
}
