//! What a step's templates can name: values, inputs, `node`, `nodes`, `lab`, `driver`, `outputs`.

use super::model::{Lab, Node};
use crate::template::Scope;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;

/// What is there beside values and inputs.
pub(super) const ALWAYS: [&str; 5] = ["node", "nodes", "lab", "driver", "outputs"];
/// Fields of `node` and of each of `nodes`.
pub(super) const NODE: [&str; 5] = ["name", "index", "address", "cpus", "memory"];
/// Fields of `lab`.
pub(super) const LAB: [&str; 2] = ["name", "title"];
/// Fields of `driver`: the facts that every driver supplies.
pub const DRIVER: [&str; 7] =
    ["name", "description", "slowness", "emulated", "nested_kernel", "oom_adjust", "cgroup_v1"];

/// Values, inputs, `node`, `nodes` and `lab`; inputs hide values of the same name. `driver` and `outputs` are added by
/// who knows them.
pub fn of(lab: &Lab, inputs: &BTreeMap<String, Json>, node: Option<&str>) -> Scope {
    let mut scope: Scope = lab.values.clone().into_iter().collect();
    scope.extend(inputs.clone());
    let nodes: Vec<Json> = lab.nodes.iter().enumerate().map(|(i, n)| node_json(i, n)).collect();
    if let Some(mine) = nodes.iter().find(|n| node.is_some_and(|name| n["name"] == name)) {
        scope.insert("node".into(), mine.clone());
    }
    scope.insert("nodes".into(), Json::Array(nodes));
    scope.insert("lab".into(), json!({"name": lab.name, "title": lab.title}));
    scope
}

/// A node on no host-only network has no address: naming it is an error, not the word "none" in a script.
fn node_json(index: usize, node: &Node) -> Json {
    let mut json = json!({"name": node.name, "index": index, "cpus": node.cpus, "memory": node.memory});
    if let (Json::Object(fields), Some(address)) = (&mut json, node.address()) {
        fields.insert("address".into(), Json::from(address.to_string()));
    }
    json
}

/// The producer's name as a step sees it: its siblings in a composite step by their short names, at the top every step.
pub fn short_name<'a>(producer: &'a str, reader: &str) -> Option<&'a str> {
    let prefix = reader.rsplit_once('/').map_or("", |(p, _)| p);
    let short = if prefix.is_empty() { producer } else { producer.strip_prefix(prefix)?.strip_prefix('/')? };
    (!short.contains('/')).then_some(short)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn siblings_are_seen_by_their_short_names() {
        assert_eq!(short_name("join/token", "join/config"), Some("token"));
        assert_eq!(short_name("join/token", "proof"), None);
        assert_eq!(short_name("hello", "link"), Some("hello"));
        assert_eq!(short_name("hello", "join/config"), None);
    }
}
