//! The script that captures a node's network, and the sections of what it prints.

use std::collections::BTreeMap;

/// What stands before each section; no tool prints such a line.
const MARK: &str = "=====lab-section ";

/// Run as root on a node. A tool that is missing leaves an empty section: a node without iptables has no rules to show.
pub fn script() -> &'static str {
    r#"section() { printf '=====lab-section %s\n' "$1"; shift; "$@" 2>/dev/null || :; }
section link ip link
section link-details ip -j -d link
section address ip -j address
section route ip route
section route-details ip -j route show table all
section neighbour ip -j neighbour
section fdb bridge -j fdb
section nat iptables -t nat -S
section rules iptables-save -c
"#
}

/// The sections of a capture by name, with their lines.
pub fn sections(text: &str) -> BTreeMap<&str, Vec<&str>> {
    let mut all: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut current = None;
    for line in text.lines() {
        if let Some(name) = line.strip_prefix(MARK) {
            current = Some(name.trim());
            all.entry(name.trim()).or_default();
        } else if let Some(name) = current {
            all.entry(name).or_default().push(line);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_come_apart_again() {
        let found = sections("junk\n=====lab-section link\n1: lo\n2: eth0\n=====lab-section nat\n");
        assert_eq!(found["link"], ["1: lo", "2: eth0"]);
        assert!(found["nat"].is_empty() && found.len() == 2);
    }

    #[test]
    fn the_script_prints_the_marks_that_are_read() {
        assert!(script().contains(MARK));
    }
}
