//! A Markdown text on a terminal: the text stays as it is written, headings and code stand out.

use super::style::{Choice, Colour, Style};
use std::io::IsTerminal;

/// The text for stdout.
pub fn page(markdown: &str) -> String {
    let terminal = std::io::stdout().is_terminal();
    show(markdown, Style::decide(Choice::Auto, terminal, |name| std::env::var_os(name)))
}

fn show(markdown: &str, style: Style) -> String {
    let mut out = String::new();
    for line in markdown.lines() {
        let heading = line.trim_start_matches('#');
        out += &match line {
            _ if line.starts_with('#') && heading.starts_with(' ') => style.paint(Colour::Strong, heading.trim()),
            _ if line.starts_with("    ") => style.paint(Colour::Code, line),
            _ => spans(line, style),
        };
        out.push('\n');
    }
    out
}

/// `code` within a line.
fn spans(line: &str, style: Style) -> String {
    let parts: Vec<&str> = line.split('`').collect();
    // An odd number of marks is no code.
    if parts.len().is_multiple_of(2) {
        return line.to_owned();
    }
    let paint =
        |(n, part): (usize, &&str)| if n % 2 == 1 { style.paint(Colour::Code, part) } else { (*part).to_owned() };
    parts.iter().enumerate().map(paint).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_and_code_stand_out_and_nothing_is_lost() {
        let text = "# Title\n\nSay `lab next`, it`s *fine*:\n\n    lab ssh n1\n";
        let plain = Style::decide(Choice::Never, true, |_| None);
        assert_eq!(show(text, plain), "Title\n\nSay `lab next`, it`s *fine*:\n\n    lab ssh n1\n");
        let coloured = Style::decide(Choice::Always, true, |_| None);
        let shown = show("# Title\n`code` here\n    lab ssh n1\n", coloured);
        assert_eq!(shown, "\x1b[1mTitle\x1b[0m\n\x1b[36mcode\x1b[0m here\n\x1b[36m    lab ssh n1\x1b[0m\n");
    }
}
