//! A Markdown text on a terminal: paragraphs flow into its width, headings and code stand out. In a pipe it stays as it is
//! written.

use super::style::{Choice, Colour, Style};
use std::io::IsTerminal;

/// Lines longer than this are hard to read, however wide the terminal is.
const WIDEST: usize = 100;

/// The text for stdout, with an empty line at its end.
pub fn page(markdown: &str) -> String {
    let terminal = std::io::stdout().is_terminal();
    if !terminal {
        return format!("{}\n\n", markdown.trim_end());
    }
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).map_or(80, |s| usize::from(s.ws_col));
    show(markdown, size.clamp(20, WIDEST), Style::decide(Choice::Auto, terminal, |name| std::env::var_os(name)))
}

fn show(markdown: &str, width: usize, style: Style) -> String {
    let mut out = String::new();
    let mut paragraph: Option<(usize, String)> = None;
    for line in markdown.trim_end().lines().chain([""]) {
        let heading = line.trim_start_matches('#');
        let is_heading = line.starts_with('#') && heading.starts_with(' ');
        let is_code = line.starts_with("    ") && paragraph.is_none();
        let hang = item(line);
        if (line.trim().is_empty() || is_heading || is_code || hang.is_some())
            && let Some((hang, text)) = paragraph.take()
        {
            out += &flow(&text, hang, width, style);
        }
        match (&mut paragraph, hang) {
            _ if is_heading => out += &format!("{}\n", style.paint(Colour::Strong, heading.trim())),
            _ if is_code => out += &format!("{}\n", style.paint(Colour::Code, line)),
            _ if line.trim().is_empty() => out.push('\n'),
            (Some((_, text)), None) => *text += &format!(" {}", line.trim()),
            (_, hang) => paragraph = Some((hang.unwrap_or(0), line.trim().to_owned())),
        }
    }
    out
}

/// Columns of a list item's mark: "- " or "1. ".
fn item(line: &str) -> Option<usize> {
    let digits = line.chars().take_while(char::is_ascii_digit).count();
    let numbered = digits > 0 && line[digits..].starts_with(". ");
    if numbered { Some(digits + 2) } else { line.starts_with("- ").then_some(2) }
}

/// A paragraph in lines of this width; lines after the first begin `hang` columns in.
fn flow(text: &str, hang: usize, width: usize, style: Style) -> String {
    let (mut out, mut column) = (String::new(), 0);
    for word in words(text) {
        let size: usize = word.iter().map(|(part, _)| columns(part)).sum();
        if column > hang && column + 1 + size > width {
            out += &format!("\n{}", " ".repeat(hang));
            column = hang;
        } else if column > 0 {
            out.push(' ');
            column += 1;
        }
        column += size;
        for (part, colour) in word {
            out += &colour.map_or_else(|| part.clone(), |colour| style.paint(colour, &part));
        }
    }
    out + "\n"
}

/// The words of a text, each in parts with their colour.
fn words(text: &str) -> Vec<Vec<(String, Option<Colour>)>> {
    // An odd number of marks is no code.
    let codes = text.matches('`').count().is_multiple_of(2);
    let (mut all, mut word, mut colour) = (Vec::new(), Vec::<(String, Option<Colour>)>::new(), None);
    let chars: Vec<char> = text.chars().collect();
    for (at, c) in chars.iter().enumerate() {
        let before = at.checked_sub(1).map(|i| chars[i]);
        match c {
            '`' if codes => colour = if colour == Some(Colour::Code) { None } else { Some(Colour::Code) },
            // A star that begins or ends a word; one alone is a star.
            '*' if colour.is_none() && closes(&chars[at + 1..]) && before.is_none_or(|c| !c.is_alphanumeric()) => {
                colour = Some(Colour::Strong);
            }
            '*' if colour == Some(Colour::Strong) => colour = None,
            ' ' => all.push(std::mem::take(&mut word)),
            c => match word.last_mut() {
                Some((part, of)) if *of == colour => part.push(*c),
                _ => word.push((c.to_string(), colour)),
            },
        }
    }
    all.push(word);
    all.retain(|word| !word.is_empty());
    all
}

/// Whether what follows a star begins with a letter and has another star after one.
fn closes(rest: &[char]) -> bool {
    let mut pairs = rest.windows(2);
    rest.first().is_some_and(|c| c.is_alphanumeric()) && pairs.any(|p| p[0].is_alphanumeric() && p[1] == '*')
}

/// Columns on a terminal: Hangul and other full-width letters take two.
fn columns(text: &str) -> usize {
    let wide = |c: char| matches!(c, '\u{1100}'..='\u{115f}' | '\u{2e80}'..='\u{a4cf}' | '\u{ac00}'..='\u{d7a3}' | '\u{f900}'..='\u{faff}' | '\u{ff00}'..='\u{ff60}');
    text.chars().map(|c| if wide(c) { 2 } else { 1 }).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_flow_and_items_hang() {
        let plain = Style::decide(Choice::Never, true, |_| None);
        let text = "# Title\n\nOne two three\nfour five.\n\n    lab ssh n1 -c 'a long command stays as it is'\n\n- an item that\n  is long\n1. next\n";
        let shown = "Title\n\nOne two three four\nfive.\n\n    lab ssh n1 -c 'a long command stays as it is'\n\n- an item that is\n  long\n1. next\n\n";
        assert_eq!(show(text, 20, plain), shown);
        assert_eq!(show("가나다 라마바 사아자", 14, plain), "가나다 라마바\n사아자\n\n");
    }

    #[test]
    fn headings_and_code_stand_out() {
        let coloured = Style::decide(Choice::Always, true, |_| None);
        let shown = show("# Title\nSay `lab next`, it\n\n    lab ssh n1\n", 80, coloured);
        let code = |text: &str| format!("\x1b[36m{text}\x1b[0m");
        let expected =
            format!("\x1b[1mTitle\x1b[0m\nSay {} {}, it\n\n{}\n\n", code("lab"), code("next"), code("    lab ssh n1"));
        assert_eq!(shown, expected);
        assert_eq!(show("it`s", 80, coloured), "it`s\n\n");
        let strong = |text: &str| format!("\x1b[1m{text}\x1b[0m");
        assert_eq!(
            show("on *every* node, 2 * 3 * 4", 80, coloured),
            format!("on {} node, 2 * 3 * 4\n\n", strong("every"))
        );
        assert_eq!(show("{{ x }} *밖에서* 온", 80, coloured), format!("{{{{ x }}}} {} 온\n\n", strong("밖에서")));
        assert_eq!(
            show("`ls *.yaml a*`", 80, coloured),
            format!("{} {} {}\n\n", code("ls"), code("*.yaml"), code("a*"))
        );
    }
}
