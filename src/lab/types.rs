//! The types that values and inputs may have, and how their texts are read.

use super::model::Subnet;
use serde_json::Value as Json;
use std::net::Ipv4Addr;

/// A type that a lab file can declare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    String,
    Int,
    Bool,
    Cidr,
    Ip,
    Version,
    /// The name of one of the lab's nodes.
    Node,
}

/// All types by the words that a lab file uses.
pub const TYPES: [(&str, Type); 7] = [
    ("string", Type::String),
    ("int", Type::Int),
    ("bool", Type::Bool),
    ("cidr", Type::Cidr),
    ("ip", Type::Ip),
    ("version", Type::Version),
    ("node", Type::Node),
];

impl Type {
    /// The type of this word.
    pub fn parse(word: &str) -> Option<Self> {
        TYPES.iter().find(|(name, _)| *name == word).map(|(_, t)| *t)
    }

    /// Reads a value of this type; the reason of a refusal is for people. `nodes` are the lab's node names.
    pub fn read(self, text: &str, nodes: &[&str]) -> Result<Json, String> {
        match self {
            Self::String => Ok(Json::from(text)),
            Self::Int => text.parse::<i64>().map(Json::from).map_err(|_| format!("`{text}` is no whole number")),
            Self::Bool => text.parse::<bool>().map(Json::from).map_err(|_| format!("`{text}` is not true or false")),
            Self::Cidr => Subnet::parse(text).map(|s| Json::from(s.to_string())),
            Self::Ip => text
                .parse::<Ipv4Addr>()
                .map(|a| Json::from(a.to_string()))
                .map_err(|_| format!("`{text}` is no IPv4 address")),
            Self::Version => {
                let good = !text.is_empty()
                    && text
                        .split(['.', '-', '+'])
                        .all(|p| !p.is_empty() && p.chars().all(|c| c.is_ascii_alphanumeric()))
                    && text.starts_with(|c: char| c.is_ascii_digit());
                if good { Ok(Json::from(text)) } else { Err(format!("`{text}` is no version like 1.34.4")) }
            }
            Self::Node => {
                if nodes.contains(&text) {
                    Ok(Json::from(text))
                } else {
                    Err(format!("the lab has no node `{text}`; it has {}", nodes.join(", ")))
                }
            }
        }
    }
}

/// Bytes from "3GiB", "512MiB" or a plain number of bytes.
pub fn size(text: &str) -> Result<u64, String> {
    let units = [("KiB", 1u64 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40)];
    let (number, unit) =
        units.iter().find_map(|(u, n)| text.strip_suffix(u).map(|rest| (rest, *n))).unwrap_or((text, 1));
    let wrong = || format!("`{text}` is no size; write it as 512MiB or 3GiB");
    let number: u64 = number.trim().parse().map_err(|_| wrong())?;
    number.checked_mul(unit).filter(|n| *n > 0).ok_or_else(wrong)
}

/// Seconds from "90s", "5m" or "1h".
pub fn seconds(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is no duration; write it as 90s, 5m or 1h");
    let units = [('s', 1u64), ('m', 60), ('h', 3600)];
    let (number, unit) =
        units.iter().find_map(|(u, n)| text.strip_suffix(*u).map(|rest| (rest, *n))).ok_or_else(wrong)?;
    let number: u64 = number.parse().map_err(|_| wrong())?;
    number.checked_mul(unit).filter(|n| (1..=86_400 * 7).contains(n)).ok_or_else(wrong)
}

/// Why a name cannot be used for a node, lab or network; None when it can. The rule is RFC 1123's for a label, since a
/// node's name is a host name, a file name and a Kubernetes name at once; 40 characters keep socket paths short.
pub fn name_problem(name: &str) -> Option<String> {
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let ends = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let fine =
        (1..=40).contains(&name.len()) && name.chars().all(good) && name.starts_with(ends) && name.ends_with(ends);
    (!fine).then(|| format!("`{name}` is no name: small letters, digits and inner hyphens, at most 40"))
}

/// Why a name cannot be used for a value, an input or an output; None when it can. Templates and shells must be able to
/// say it.
pub fn identifier_problem(name: &str) -> Option<String> {
    let starts = |c: char| c.is_ascii_alphabetic() || c == '_';
    let fine = name.len() <= 60
        && name.starts_with(starts)
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    (!fine).then(|| format!("`{name}` is no name here: letters, digits, `_` and `-`, at most 60, first a letter"))
}

/// Why a text cannot be shown to people; None when it can.
pub fn text_problem(text: &str) -> Option<&'static str> {
    let bad = text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t'));
    bad.then_some("this text is shown on terminals, and has a character that commands them")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sizes_and_durations() {
        assert_eq!(size("3GiB"), Ok(3 << 30));
        assert_eq!(size("512MiB"), Ok(512 << 20));
        for bad in ["", "3GB", "-1GiB", "0GiB", "99999999999TiB", "x"] {
            assert!(size(bad).is_err(), "{bad}");
        }
        assert_eq!(seconds("5m"), Ok(300));
        for bad in ["", "5", "0s", "1d", "9999999h"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn values_are_read_by_their_type() {
        assert_eq!(Type::Cidr.read("10.244.0.0/16", &[]), Ok(Json::from("10.244.0.0/16")));
        assert_eq!(Type::Int.read("7", &[]), Ok(Json::from(7)));
        assert!(Type::Version.read("1.34.4; rm -rf /", &[]).is_err());
        assert!(Type::Node.read("n3", &["n1", "n2"]).unwrap_err().contains("n1, n2"));
    }

    #[test]
    fn names_are_host_names() {
        for good in ["flannel-w1", "n1", "a"] {
            assert_eq!(name_problem(good), None, "{good}");
        }
        for bad in ["", "N1", "-a", "a-", "../x", "a b", "a.b", &"a".repeat(41)] {
            assert!(name_problem(bad).is_some(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn reading_never_panics(text in "\\PC{0,20}") {
            let _ = (size(&text), seconds(&text), name_problem(&text));
            for (_, kind) in TYPES { let _ = kind.read(&text, &["n1"]); }
        }
    }
}
