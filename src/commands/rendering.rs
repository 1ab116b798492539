//! Steps as they would run, for verbs that show or export them: with stand-ins for what only a run makes.

use crate::driver::Facts;
use crate::error::{Error, Result};
use crate::executor::{StepScope, scope_of};
use crate::lab::model::{Lab, Output, Step};
use crate::lab::{rendered, scope};
use crate::plan::Task;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::path::Path;

/// What takes the place of an output: from its step's name and the output.
pub type StandIn<'a> = &'a dyn Fn(&str, &Output) -> String;

/// What steps are rendered with.
pub struct Rendering<'a> {
    pub lab: &'a Lab,
    pub facts: &'a Facts,
    /// The lab's plan and state folder, for outputs that are there already and not secret.
    pub tasks: &'a [Task],
    pub dir: &'a Path,
    pub stand_in: StandIn<'a>,
}

impl Rendering<'_> {
    /// The step of this index with all texts literal, and the secrets that must not be shown.
    pub fn step(&self, index: usize, node: &str) -> Result<(Step, Vec<String>)> {
        let step = &self.lab.steps[index];
        let StepScope { mut scope, secrets } = scope_of(self.lab, step, node, self.facts, self.tasks, self.dir);
        let made = scope.remove("outputs").unwrap_or(Json::Null);
        let mut outputs: BTreeMap<&str, BTreeMap<&str, String>> = BTreeMap::new();
        for producer in &self.lab.steps[..index] {
            let Some(short) = scope::short_name(&producer.name, &step.name) else { continue };
            for output in &producer.outputs {
                let made = made[short][&output.name].as_str().filter(|_| !output.secret);
                let value = made.map_or_else(|| (self.stand_in)(&producer.name, output), str::to_owned);
                outputs.entry(short).or_default().insert(&output.name, value);
            }
        }
        scope.insert("outputs".into(), json!(outputs));
        let wrong = |why| Error::failed(format!("render the step {}", step.name), why).on(node);
        Ok((rendered(step, &scope).map_err(wrong)?, secrets))
    }
}

/// What is true of an accelerated virtual machine with a kernel of its own.
pub fn machine(name: &str) -> Facts {
    Facts {
        name: name.to_owned(),
        description: "a virtual machine".to_owned(),
        slowness: 1,
        emulated: false,
        nested_kernel: false,
        oom_adjust: true,
        cgroup_v1: false,
    }
}
