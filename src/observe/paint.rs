//! Colours for text that may go to a terminal.

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

/// "1 chain", "2 chains".
pub(super) fn count(n: usize, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}
