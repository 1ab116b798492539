//! From text to a tree with spans. Bounded: size, depth and the number of nodes after aliases are expanded.

use super::problem::Problem;
use saphyr_parser::{Event, Parser, ScalarStyle, Span as RawSpan};
use std::collections::{HashMap, HashSet};

/// No lab file is larger; a file that is, is a mistake or an attack.
const MAX_BYTES: usize = 1 << 20;
/// Nesting beyond this would overflow recursive readers before it meant anything.
const MAX_DEPTH: usize = 64;
/// Nodes after aliases are expanded: an alias bomb ends here.
const MAX_NODES: usize = 50_000;
/// Bytes of text after aliases are expanded: a bomb of few large texts.
const MAX_TEXT: usize = 8 << 20;

/// A range of a source text. Lines and columns count from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Span {
    pub line: usize,
    pub column: usize,
    /// Characters on the first line, at least 1.
    pub length: usize,
}

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    pub value: Value,
    pub span: Span,
}

/// What YAML can say, without guessing types: a scalar is its text, and whether it was quoted.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Null,
    Scalar { text: String, quoted: bool },
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// A mapping's key.
#[derive(Debug, Clone, PartialEq)]
pub struct Key {
    pub text: String,
    pub span: Span,
}

impl Node {
    /// What the value is, for messages: "a list", "a text".
    pub fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "nothing",
            Value::Scalar { .. } => "a text",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }

    /// The scalar's text, if it is one.
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }
}

/// Reads exactly one document.
///
/// # Errors
/// The first thing that is not YAML, or a limit that is passed.
pub fn parse(source: &str) -> Result<Node, Problem> {
    if source.len() > MAX_BYTES {
        let message = format!("the file has {} bytes; at most {MAX_BYTES} are read", source.len());
        return Err(Problem::new(Span::default(), message));
    }
    let mut builder = Builder::default();
    for item in Parser::new_from_str(source) {
        let (event, span) = item.map_err(|e| {
            let marker = e.marker();
            let span = Span { line: marker.line(), column: marker.col() + 1, length: 1 };
            Problem::new(span, e.info().to_string())
        })?;
        builder.event(event, convert(span))?;
    }
    builder.root.ok_or_else(|| Problem::new(Span { line: 1, column: 1, length: 1 }, "the file is empty"))
}

fn convert(span: RawSpan) -> Span {
    let (start, end) = (span.start, span.end);
    let length = if start.line() == end.line() { end.col().saturating_sub(start.col()).max(1) } else { 1 };
    Span { line: start.line(), column: start.col() + 1, length }
}

#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    anchors: HashMap<usize, (Node, Size)>,
    size: Size,
    root: Option<Node>,
}

/// How much of a tree there is: values, and bytes of their texts.
#[derive(Debug, Clone, Copy, Default)]
struct Size {
    nodes: usize,
    bytes: usize,
}

/// A list or mapping under construction.
struct Open {
    value: Value,
    key: Option<Key>,
    /// A mapping's keys until here.
    keys: HashSet<String>,
    span: Span,
    anchor: usize,
    /// What there was before it.
    before: Size,
}

impl Builder {
    fn event(&mut self, event: Event, span: Span) -> Result<(), Problem> {
        match event {
            Event::Scalar(text, style, anchor, _) => {
                let quoted = style != ScalarStyle::Plain;
                let null = !quoted && matches!(text.as_ref(), "" | "~" | "null");
                let before = self.size;
                self.count(Size { nodes: 1, bytes: text.len() }, span)?;
                let value = if null { Value::Null } else { Value::Scalar { text: text.into_owned(), quoted } };
                self.close(Node { value, span }, anchor, before)
            }
            Event::SequenceStart(anchor, _) => self.open(Value::List(Vec::new()), span, anchor),
            Event::MappingStart(anchor, _) => self.open(Value::Map(Vec::new()), span, anchor),
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(done) => self.close(Node { value: done.value, span: done.span }, done.anchor, done.before),
                None => Ok(()),
            },
            Event::Alias(id) => {
                let nowhere = || Problem::new(span, "this alias points into itself or to no anchor");
                let size = self.anchors.get(&id).ok_or_else(nowhere)?.1;
                let before = self.size;
                // Counted before it is copied.
                self.count(size, span)?;
                let mut node = self.anchors.get(&id).ok_or_else(nowhere)?.0.clone();
                node.span = span;
                self.close(node, 0, before)
            }
            Event::DocumentStart(_) if self.root.is_some() => {
                Err(Problem::new(span, "a second document starts here; one file holds one lab"))
            }
            _ => Ok(()),
        }
    }

    fn open(&mut self, value: Value, span: Span, anchor: usize) -> Result<(), Problem> {
        if self.open.len() >= MAX_DEPTH {
            return Err(Problem::new(span, format!("nested deeper than {MAX_DEPTH} levels")));
        }
        let before = self.size;
        self.count(Size { nodes: 1, bytes: 0 }, span)?;
        self.open.push(Open { value, key: None, keys: HashSet::new(), span, anchor, before });
        Ok(())
    }

    fn count(&mut self, more: Size, span: Span) -> Result<(), Problem> {
        self.size.nodes += more.nodes;
        self.size.bytes += more.bytes;
        if self.size.nodes > MAX_NODES {
            return Err(Problem::new(span, format!("more than {MAX_NODES} values once aliases are expanded")));
        }
        if self.size.bytes > MAX_TEXT {
            return Err(Problem::new(span, format!("more than {MAX_TEXT} bytes of text once aliases are expanded")));
        }
        Ok(())
    }

    fn close(&mut self, node: Node, anchor: usize, before: Size) -> Result<(), Problem> {
        if anchor != 0 {
            let (nodes, bytes) = (self.size.nodes - before.nodes, self.size.bytes - before.bytes);
            // The copy counts too: anchors within anchors multiply like aliases.
            self.count(Size { nodes: 0, bytes }, node.span)?;
            self.anchors.insert(anchor, (node.clone(), Size { nodes, bytes }));
        }
        let Some(parent) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match &mut parent.value {
            Value::List(items) => items.push(node),
            Value::Map(entries) => match parent.key.take() {
                Some(key) => entries.push((key, node)),
                None => {
                    let text = match node.value {
                        Value::Scalar { text, .. } => text,
                        _ => return Err(Problem::new(node.span, "a key must be a text")),
                    };
                    if !parent.keys.insert(text.clone()) {
                        return Err(Problem::new(node.span, format!("the key `{text}` stands here twice")));
                    }
                    parent.key = Some(Key { text, span: node.span });
                }
            },
            Value::Null | Value::Scalar { .. } => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn map(node: &Node) -> &[(Key, Node)] {
        match &node.value {
            Value::Map(entries) => entries,
            other => panic!("not a map: {other:?}"),
        }
    }

    #[test]
    fn every_value_knows_where_it_stands() {
        let tree = parse("a: 1\nb:\n  - 'x'\n  - yy\n").unwrap();
        let entries = map(&tree);
        assert_eq!(entries[0].1.span, Span { line: 1, column: 4, length: 1 });
        let Value::List(items) = &entries[1].1.value else { panic!() };
        assert_eq!(items[0].value, Value::Scalar { text: "x".into(), quoted: true });
        assert_eq!(items[1].span, Span { line: 4, column: 5, length: 2 });
    }

    #[test]
    fn an_alias_is_its_anchor_again() {
        let tree = parse("a: &x [1, 2]\nb: *x\n").unwrap();
        assert_eq!(map(&tree)[0].1.value, map(&tree)[1].1.value);
    }

    #[test]
    fn an_alias_bomb_is_refused() {
        let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for i in 1..8 {
            let many = vec![format!("*a{}", i - 1); 10].join(", ");
            text += &format!("a{i}: &a{i} [{many}]\n");
        }
        assert!(parse(&text).unwrap_err().message.contains("aliases"));
    }

    #[test]
    fn a_bomb_of_one_large_text_is_refused() {
        let text = format!("a: &x {}\nb: [{}]\n", "x".repeat(100_000), vec!["*x"; 10_000].join(", "));
        assert!(parse(&text).unwrap_err().message.contains("bytes of text"));
        let deep = format!("{}{}", "&a [".repeat(60), "x".repeat(900_000));
        assert!(parse(&deep).is_err());
    }

    #[test]
    fn refuses_with_a_place() {
        for (text, part) in [
            ("a: 1\na: 2\n", "twice"),
            ("a: 1\n---\nb: 2\n", "second document"),
            ("", "empty"),
            ("a: &x [*x]\n", "alias"),
        ] {
            let problem = parse(text).unwrap_err();
            assert!(problem.message.contains(part), "{text:?}: {problem:?}");
        }
        for deep in ["[", "{a: ", "- ", "? "] {
            assert!(parse(&deep.repeat(100_000)).is_err(), "{deep}");
        }
        assert_eq!(parse("a: 1\nb: [\n").unwrap_err().span.line, 3);
    }

    proptest! {
        #[test]
        fn never_panics(text in "\\PC{0,200}") { let _ = parse(&text); }

        #[test]
        fn never_panics_on_yaml_like(text in "([a-z&*!|>'\"\\[\\]{}:,#\\- \n]|\t){0,120}") { let _ = parse(&text); }
    }
}
