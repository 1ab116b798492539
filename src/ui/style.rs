//! Whether to colour, and how.

use std::ffi::OsString;

/// What the user wants of colours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Choice {
    /// As the environment and the output say.
    #[default]
    Auto,
    Always,
    Never,
}

/// The colours that mean something here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    Good,
    Bad,
    Faint,
    /// Headings and names.
    Strong,
    /// Commands and code.
    Code,
}

/// Colours text or leaves it alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    coloured: bool,
}

impl Style {
    /// Decides by `choice`, then NO_COLOR (no-color.org), then CLICOLOR_FORCE (bixense.com/clicolors), then TERM, then
    /// whether the output is a terminal.
    pub fn decide(choice: Choice, terminal: bool, var: impl Fn(&str) -> Option<OsString>) -> Self {
        let set = |name| var(name).is_some_and(|v| !v.is_empty());
        let coloured = match choice {
            Choice::Always => true,
            Choice::Never => false,
            Choice::Auto if set("NO_COLOR") => false,
            Choice::Auto if set("CLICOLOR_FORCE") && var("CLICOLOR_FORCE").is_some_and(|v| v != "0") => true,
            Choice::Auto => terminal && var("TERM").is_none_or(|t| t != "dumb"),
        };
        Self { coloured }
    }

    /// Whether anything is coloured.
    pub fn is_coloured(self) -> bool {
        self.coloured
    }

    /// The text in this colour, or as it is.
    pub fn paint(self, colour: Colour, text: &str) -> String {
        let code = match colour {
            Colour::Good => 32,
            Colour::Bad => 31,
            Colour::Faint => 2,
            Colour::Strong => 1,
            Colour::Code => 36,
        };
        if self.coloured { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// A line of foreign output that cannot move the cursor or recolour the screen: escape sequences and control characters
/// go, and of a line that was overwritten by `\r` its last state stays.
pub fn printable(line: &str) -> String {
    let line = line.trim_end_matches('\r');
    let last = line.rsplit('\r').next().unwrap_or_default();
    let mut out = String::with_capacity(last.len());
    let mut chars = last.chars();
    while let Some(c) = chars.next() {
        match c {
            '\x1b' => skip_escape(&mut chars),
            '\t' => out.push(c),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

/// Goes past the rest of an escape sequence: CSI to its final byte, OSC to its terminator, else one character.
fn skip_escape(chars: &mut std::str::Chars<'_>) {
    match chars.next() {
        Some('[') => {
            chars.find(|c| ('\x40'..='\x7e').contains(c));
        }
        Some(']') => {
            let end = chars.find(|c| matches!(c, '\x07' | '\x1b'));
            if end == Some('\x1b') {
                chars.next();
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn coloured(choice: Choice, terminal: bool, vars: &[(&str, &str)]) -> bool {
        let var = |name: &str| vars.iter().find(|(n, _)| *n == name).map(|(_, v)| OsString::from(v));
        Style::decide(choice, terminal, var).coloured
    }

    #[test]
    fn the_environment_decides_unless_the_user_did() {
        let auto = |terminal, vars: &[(&str, &str)]| coloured(Choice::Auto, terminal, vars);
        assert!(auto(true, &[]) && !auto(false, &[]));
        assert!(!auto(true, &[("NO_COLOR", "1")]) && auto(true, &[("NO_COLOR", "")]));
        assert!(auto(false, &[("CLICOLOR_FORCE", "1")]) && !auto(false, &[("CLICOLOR_FORCE", "0")]));
        assert!(!auto(false, &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]), "a wish for none wins");
        assert!(!auto(true, &[("TERM", "dumb")]) && auto(true, &[("TERM", "xterm")]));
        assert!(coloured(Choice::Always, false, &[("NO_COLOR", "1")]));
        assert!(!coloured(Choice::Never, true, &[("CLICOLOR_FORCE", "1")]));
    }

    #[test]
    fn foreign_lines_cannot_move_the_cursor() {
        assert_eq!(printable("\x1b[2J\x1b[1;31mred\x1b[0m\x07"), "red");
        assert_eq!(printable("\x1b]0;title\x07a\x1b]8;;x\x1b\\b"), "ab");
        assert_eq!(printable("10%\r 50%\r100%\r"), "100%");
        assert_eq!(printable("a\tb ü 汉"), "a\tb ü 汉");
        assert_eq!(printable("cut \x1b["), "cut ");
    }
}
