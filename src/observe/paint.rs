//! Text that may go to a terminal: colours, and nothing in it that a node could move the cursor with.

use std::borrow::Cow;

/// What a piece of text means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ink {
    Added,
    Removed,
    Changed,
    Strong,
    Faint,
}

/// Puts the escape sequences round `text` if `colour` says so.
pub(super) fn paint(colour: bool, ink: Ink, text: &str) -> String {
    let code = match ink {
        Ink::Added => "32",
        Ink::Removed => "31",
        Ink::Changed => "33",
        Ink::Strong => "1",
        Ink::Faint => "2",
    };
    if colour && !text.is_empty() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_string() }
}

/// The text with every control character but line ends and tabs replaced: what a node says must not recolour or
/// overwrite the user's screen.
pub(super) fn harmless(text: &str) -> Cow<'_, str> {
    let harmful = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    // A line end of two characters is one.
    let bare = |text: &str| text.replace("\r\n", "\n");
    if !text.contains(harmful) {
        return Cow::Borrowed(text);
    }
    let text = bare(text);
    let replaced: String = text.chars().map(|c| if harmful(c) { '\u{fffd}' } else { c }).collect();
    Cow::Owned(replaced)
}

/// "1 chain", "2 chains".
pub(super) fn count(n: usize, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_cannot_move_the_cursor() {
        assert_eq!(harmless("a\tb\n"), Cow::Borrowed("a\tb\n"));
        assert_eq!(harmless("a\x1b[2J\r\nb\rc\u{9b}"), "a\u{fffd}[2J\nb\u{fffd}c\u{fffd}");
    }
}
