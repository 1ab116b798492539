//! A document as Markdown for a study note.

use super::document::Block;

/// The whole document.
pub fn markdown(blocks: &[Block]) -> String {
    let mut out = String::new();
    for block in blocks {
        one(block, &mut out);
        out.push('\n');
    }
    out
}

fn one(block: &Block, out: &mut String) {
    match block {
        Block::Heading(level, text) => *out += &format!("{} {}\n", "#".repeat(usize::from(*level)), escape(text)),
        Block::Text(text) => *out += &format!("{}\n", escape(text)),
        Block::Code(text) => fence("", text, out),
        Block::Command { node, command, prints } => {
            let prints = prints.as_deref().map(|p| format!("\n{}", p.trim_end())).unwrap_or_default();
            fence("console", &format!("root@{node}:~# {command}{prints}"), out);
        }
        Block::Diff(text) => fence("diff", text, out),
        Block::Table { titles, rows } => table(titles, rows, out),
        Block::Picture { text, .. } => fence("", text, out),
        Block::Fold(title, blocks) => {
            *out += &format!("<details><summary>{}</summary>\n\n", super::html::escape(title));
            *out += &markdown(blocks);
            *out += "</details>\n";
        }
    }
}

/// A fence longer than any inside.
fn fence(language: &str, text: &str, out: &mut String) {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    *out += &format!("{fence}{language}\n{}\n{fence}\n", text.trim_end());
}

fn table(titles: &[String], rows: &[Vec<String>], out: &mut String) {
    let line = |cells: &[String]| format!("| {} |\n", cells.iter().map(|c| escape(c)).collect::<Vec<_>>().join(" | "));
    *out += &line(titles);
    *out += &format!("|{}\n", " --- |".repeat(titles.len()));
    rows.iter().for_each(|r| *out += &line(r));
}

/// Text without a meaning in Markdown.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '*' | '_' | '`' | '<' | '[' | ']' | '\\' | '|' | '#') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn blocks_are_markdown() {
        let blocks = [
            Block::Heading(2, "a_b".into()),
            Block::Command { node: "n1".into(), command: "ip route".into(), prints: Some("default\n".into()) },
            Block::Table { titles: vec!["A".into()], rows: vec![vec!["x|y".into()]] },
            Block::Fold("more".into(), vec![Block::Code("```".into())]),
        ];
        let text = markdown(&blocks);
        for part in ["## a\\_b\n", "```console\nroot@n1:~# ip route\ndefault\n```", "| x\\|y |", "````\n```\n````"] {
            assert!(text.contains(part), "{part}\n{text}");
        }
    }

    proptest! {
        #[test]
        fn a_fence_holds_any_text(inside in "(`{0,5}|[a-z\n]){0,12}") {
            let text = markdown(&[Block::Code(inside.clone())]);
            let fence = text.lines().next().unwrap();
            prop_assert_eq!(text.lines().filter(|l| *l == fence).count(), 2, "{}", text);
        }
    }
}
