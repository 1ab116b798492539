//! Reading a mapping key by key: each key asked for is known, what is left over is a problem.

use super::problem::{Problem, Problems, closest};
use super::tree::{Key, Node, Span, Value};
use std::collections::BTreeSet;

/// A mapping being read. Ask for every key it may have, then call [`MapReader::finish`].
pub struct MapReader<'a> {
    entries: &'a [(Key, Node)],
    span: Span,
    what: &'a str,
    known: BTreeSet<&'a str>,
}

impl<'a> MapReader<'a> {
    /// Reads `node` as a mapping; `what` names it in messages ("a node"). Anything else is a problem.
    pub fn new(node: &'a Node, what: &'a str, problems: &mut Problems) -> Option<Self> {
        match &node.value {
            Value::Map(entries) => Some(Self { entries, span: node.span, what, known: BTreeSet::new() }),
            _ => {
                problems.add(Problem::new(node.span, format!("{what} is a mapping, but this is {}", node.kind())));
                None
            }
        }
    }

    /// Where the mapping stands.
    pub fn span(&self) -> Span {
        self.span
    }

    /// The value of a key that may be missing. A null counts as missing.
    pub fn optional(&mut self, key: &'a str) -> Option<&'a Node> {
        self.known.insert(key);
        let found = self.entries.iter().find(|(k, _)| k.text == key);
        found.map(|(_, node)| node).filter(|node| node.value != Value::Null)
    }

    /// The value of a key that must be there.
    pub fn required(&mut self, key: &'a str, problems: &mut Problems) -> Option<&'a Node> {
        let found = self.optional(key);
        if found.is_none() {
            problems.add(Problem::new(self.span, format!("{} needs the key `{key}`", self.what)));
        }
        found
    }

    /// The text of a key that may be missing.
    pub fn text(&mut self, key: &'a str, problems: &mut Problems) -> Option<&'a str> {
        let node = self.optional(key)?;
        if node.text().is_none() {
            problems.add(Problem::new(node.span, format!("`{key}` is a text, but this is {}", node.kind())));
        }
        node.text()
    }

    /// `true` or `false`; missing is `false`.
    pub fn flag(&mut self, key: &'a str, problems: &mut Problems) -> bool {
        let Some(node) = self.optional(key) else { return false };
        match node.text() {
            Some("true") => true,
            Some("false") => false,
            _ => {
                problems.add(Problem::new(node.span, format!("`{key}` is `true` or `false`")));
                false
            }
        }
    }

    /// A text or a list of texts, as a list; missing is empty.
    pub fn texts(&mut self, key: &'a str, problems: &mut Problems) -> Vec<(&'a str, Span)> {
        let Some(node) = self.optional(key) else { return Vec::new() };
        let items = match &node.value {
            Value::List(items) => items.as_slice(),
            _ => std::slice::from_ref(node),
        };
        let mut texts = Vec::new();
        for item in items {
            match item.text() {
                Some(text) => texts.push((text, item.span)),
                None => problems.add(Problem::new(
                    item.span,
                    format!("`{key}` is a text or a list of texts, but this is {}", item.kind()),
                )),
            }
        }
        texts
    }

    /// The entries of a mapping below `key`, in the file's order; missing is empty.
    pub fn entries(&mut self, key: &'a str, problems: &mut Problems) -> &'a [(Key, Node)] {
        let Some(node) = self.optional(key) else { return &[] };
        match &node.value {
            Value::Map(entries) => entries,
            _ => {
                problems.add(Problem::new(node.span, format!("`{key}` is a mapping, but this is {}", node.kind())));
                &[]
            }
        }
    }

    /// The items of a list below `key`; missing is empty.
    pub fn items(&mut self, key: &'a str, problems: &mut Problems) -> &'a [Node] {
        let Some(node) = self.optional(key) else { return &[] };
        match &node.value {
            Value::List(items) => items,
            _ => {
                problems.add(Problem::new(node.span, format!("`{key}` is a list, but this is {}", node.kind())));
                &[]
            }
        }
    }

    /// Every key that nobody asked for is a problem, with what is allowed.
    pub fn finish(self, problems: &mut Problems) {
        for (key, _) in self.entries {
            if self.known.contains(key.text.as_str()) {
                continue;
            }
            let allowed = self.known.iter().copied().collect::<Vec<_>>().join(", ");
            let help = match closest(&key.text, self.known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`? Allowed in {}: {allowed}", self.what),
                None => format!("allowed in {}: {allowed}", self.what),
            };
            problems.add(Problem::new(key.span, format!("unknown key `{}`", key.text)).help(help));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    #[test]
    fn collects_all_problems_at_once() {
        let tree = parse("name: [x]\ncpuz: 1\non: maybe\n").unwrap();
        let mut problems = Problems::default();
        let mut map = MapReader::new(&tree, "a node", &mut problems).unwrap();
        assert_eq!(map.text("name", &mut problems), None);
        assert!(!map.flag("on", &mut problems));
        map.required("memory", &mut problems);
        map.optional("cpus");
        map.finish(&mut problems);
        let messages: Vec<&str> = problems.0.iter().map(|p| p.message.as_str()).collect();
        assert_eq!(
            messages,
            [
                "`name` is a text, but this is a list",
                "`on` is `true` or `false`",
                "a node needs the key `memory`",
                "unknown key `cpuz`"
            ]
        );
        assert!(problems.0[3].help.as_deref().unwrap().starts_with("did you mean `cpus`?"));
    }

    #[test]
    fn one_text_is_a_list_of_one() {
        let tree = parse("on: n1\nneeds: [a, b]\n").unwrap();
        let mut problems = Problems::default();
        let mut map = MapReader::new(&tree, "a step", &mut problems).unwrap();
        let texts = |list: Vec<(&str, Span)>| list.iter().map(|(t, _)| t.to_string()).collect::<Vec<_>>();
        assert_eq!(texts(map.texts("on", &mut problems)), ["n1"]);
        assert_eq!(texts(map.texts("needs", &mut problems)), ["a", "b"]);
        assert!(problems.is_empty());
    }
}
