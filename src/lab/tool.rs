//! `tools:` of a lab file: programs of the image's bundle that run on the host, told by their environment where the
//! lab's exports are. `lab NAME ...` runs one.

use super::file::{Text, key_text, required, text_at};
use super::model::{Export, Tool};
use crate::yaml::{MapReader, Node as Tree, Problem, Problems, closest};
use std::collections::BTreeMap;

/// A tool as written: `kc: {program: part/file, env: {CONFIG: export}}`.
#[derive(Debug, Clone)]
pub struct ToolFile {
    pub name: Text,
    pub program: Text,
    /// Variables and the names of exports.
    pub env: Vec<(Text, Text)>,
}

/// Decodes one tool.
pub(super) fn decode(name: Text, tree: &Tree, problems: &mut Problems) -> Option<ToolFile> {
    let mut map = MapReader::new(tree, "a tool", problems)?;
    let program = required(&mut map, "program", problems);
    let mut env = Vec::new();
    for (key, value) in map.entries("env", problems) {
        match value.text() {
            Some(text) => env.push((key_text(key), text_at((text, value.span)))),
            None => problems.add(Problem::new(value.span, "a variable names an export: `CONFIG: kubeconfig`")),
        }
    }
    map.finish(problems);
    Some(ToolFile { name, program: program?, env })
}

/// Checks the tools against the lab's exports.
pub(super) fn resolve(
    files: &[ToolFile],
    exports: &BTreeMap<String, Export>,
    problems: &mut Problems,
) -> BTreeMap<String, Tool> {
    let mut all = BTreeMap::new();
    for file in files {
        let part = file.program.value.split_once('/').filter(|(part, name)| !part.is_empty() && !name.is_empty());
        if part.is_none() || file.program.value.split('/').any(|p| p == "..") {
            problems.add(Problem::new(file.program.span, "a program is written PART/FILE, as in the bundle"));
        }
        for (_, export) in file.env.iter().filter(|(_, e)| !exports.contains_key(&e.value)) {
            let known: Vec<&str> = exports.keys().map(String::as_str).collect();
            let near = closest(&export.value, known.iter().copied());
            let hint = near.map_or(String::new(), |near| format!("; did you mean `{near}`?"));
            problems.add(Problem::new(export.span, format!("the lab exports no `{}`{hint}", export.value)));
        }
        let env = file.env.iter().map(|(name, export)| (name.value.clone(), export.value.clone())).collect();
        all.insert(file.name.value.clone(), Tool { program: file.program.value.clone(), env });
    }
    all
}
