//! A tree as YAML text again: what was read comes back with the same meaning, comments and styles do not.

use super::tree::{Node, Value};

/// The text of a tree, in block style.
pub fn write(node: &Node) -> String {
    let mut out = String::new();
    block(node, 0, &mut out);
    if !out.ends_with('\n') {
        out.push('\n');
    }
    out
}

fn block(node: &Node, indent: usize, out: &mut String) {
    match &node.value {
        Value::Map(entries) if !entries.is_empty() => {
            for (index, (key, value)) in entries.iter().enumerate() {
                if index > 0 {
                    out.push_str(&" ".repeat(indent));
                }
                out.push_str(&word(&key.text));
                out.push(':');
                after_key(value, indent, out);
            }
        }
        Value::List(items) if !items.is_empty() => {
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push_str(&" ".repeat(indent));
                }
                out.push_str("- ");
                block(item, indent + 2, out);
                end(out);
            }
        }
        _ => out.push_str(&scalar(node)),
    }
}

fn after_key(value: &Node, indent: usize, out: &mut String) {
    match &value.value {
        Value::Map(entries) if !entries.is_empty() => {
            out.push('\n');
            out.push_str(&" ".repeat(indent + 2));
            block(value, indent + 2, out);
        }
        // A list stands at its key's column, as most programs write it.
        Value::List(items) if !items.is_empty() => {
            out.push('\n');
            out.push_str(&" ".repeat(indent));
            block(value, indent, out);
        }
        _ => {
            out.push(' ');
            out.push_str(&scalar(value));
        }
    }
    end(out);
}

fn end(out: &mut String) {
    if !out.ends_with('\n') {
        out.push('\n');
    }
}

fn scalar(node: &Node) -> String {
    match &node.value {
        Value::Null => "null".to_owned(),
        Value::List(_) => "[]".to_owned(),
        Value::Map(_) => "{}".to_owned(),
        Value::Scalar { text, quoted: true } => quoted(text),
        // Plain text was plain before; of several lines only a text can be.
        Value::Scalar { text, quoted: false } if text.contains('\n') => quoted(text),
        Value::Scalar { text, quoted: false } if begins_a_block(text) => quoted(text),
        Value::Scalar { text, quoted: false } => text.clone(),
    }
}

/// Plain between brackets, these begin something else in block style: `[>]` is a text, `- >` a folded one.
fn begins_a_block(text: &str) -> bool {
    text.starts_with(['>', '|', '?']) || text == "-"
}

/// A key: plain where nobody could read it as anything else.
fn word(text: &str) -> String {
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c));
    if plain { text.to_owned() } else { quoted(text) }
}

/// JSON's strings are YAML's double-quoted ones.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;
    use proptest::prelude::*;

    /// The same without places.
    fn meaning(node: &Node) -> String {
        match &node.value {
            Value::Null => "null".into(),
            Value::Scalar { text, quoted } => {
                format!("{text:?}{}", if *quoted || text.contains('\n') || begins_a_block(text) { "q" } else { "" })
            }
            Value::List(items) => format!("{:?}", items.iter().map(meaning).collect::<Vec<_>>()),
            Value::Map(entries) => {
                format!("{:?}", entries.iter().map(|(k, v)| (k.text.clone(), meaning(v))).collect::<Vec<_>>())
            }
        }
    }

    #[test]
    fn written_as_others_write_it() {
        let text = "a: 1\nb:\n- c: \"x: y\"\n  d:\n  - 1\n  - e: f\n- []\ng: {}\nh:\n  i: null\n  \"1\": true\n";
        assert_eq!(write(&parse(text).unwrap()), text);
        let json = r#"{"a": 1, "b": [{"c": "x: y"}], "d": [[1, 2], ["x"]]}"#;
        let written = write(&parse(json).unwrap());
        assert_eq!(written, "a: 1\nb:\n- c: \"x: y\"\nd:\n- - 1\n  - 2\n- - \"x\"\n");
    }

    #[test]
    fn a_text_that_would_begin_a_block_is_quoted() {
        let written = write(&parse("a: [>, '|', x]").unwrap());
        assert_eq!(written, "a:\n- \">\"\n- \"|\"\n- x\n");
        assert!(parse(&written).is_ok());
    }

    proptest! {
        #[test]
        fn what_is_read_again_means_the_same(text in "([a-z&*!|>'\"\\[\\]{}:,#\\- \n]|\t){0,120}") {
            if let Ok(tree) = parse(&text) {
                let written = write(&tree);
                let again = parse(&written);
                prop_assert!(again.is_ok(), "{written:?} {again:?}");
                prop_assert_eq!(meaning(&tree), meaning(&again.unwrap()), "{}", written);
            }
        }
    }
}
