//! The end of a log, for messages.

use std::path::Path;

/// The last lines of a file; empty when there is none.
pub fn last_lines(log: &Path, lines: usize) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_and_nothing_of_a_missing_file() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        assert_eq!(last_lines(&log, 2), "");
        std::fs::write(&log, b"a\nb\xff\nc\n").unwrap();
        assert_eq!(last_lines(&log, 2), "b\u{fffd}\nc");
    }
}
