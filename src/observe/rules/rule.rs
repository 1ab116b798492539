//! One rule of iptables: what it matches and what it does, printed again exactly as it was read.

use super::token::{self, Token};
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;

/// How often a rule or chain policy was hit. In the nat table a packet is the first one of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counters {
    pub packets: u64,
    pub bytes: u64,
}

impl Counters {
    /// Reads `[packets:bytes]` from the start of `text`; gives the rest. Only the spelling that is printed again.
    pub(super) fn read(text: &str) -> Option<(Self, &str)> {
        let (inside, rest) = text.strip_prefix('[')?.split_once(']')?;
        let (packets, bytes) = inside.split_once(':')?;
        // A sign or a leading zero would not be printed again.
        let plain = |s: &str| s == "0" || s.starts_with(|c: char| matches!(c, '1'..='9'));
        let read = |s: &str| s.parse::<u64>().ok().filter(|_| plain(s));
        Some((Self { packets: read(packets)?, bytes: read(bytes)? }, rest))
    }

    pub(super) fn print(self, out: &mut String) {
        write!(out, "[{}:{}]", self.packets, self.bytes).expect("a String takes everything");
    }
}

/// One option with its values: `! --ctstate RELATED,ESTABLISHED`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Opt {
    #[serde(default, skip_serializing_if = "is_false")]
    pub negated: bool,
    /// With its dashes: `-s`, `--dport`.
    pub name: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
    /// Whether the values stand in quotes (a comment with a space in it).
    #[serde(default, skip_serializing_if = "is_false")]
    pub quoted: bool,
}

impl Opt {
    /// The first value, or the empty string.
    pub fn value(&self) -> &str {
        self.values.first().map_or("", String::as_str)
    }

    fn print(&self, out: &mut String) {
        if self.negated {
            out.push_str(" !");
        }
        out.push(' ');
        out.push_str(&self.name);
        for value in &self.values {
            out.push(' ');
            token::print(out, value, self.quoted);
        }
    }
}

/// A match extension (`-m comment`) with its options, or the options that need none (`-s`, `-p`).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Match {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<Opt>,
}

/// What a rule does with a packet that matches.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Jump {
    /// `-g`: a RETURN in the target chain returns to our caller's chain.
    #[serde(default, skip_serializing_if = "is_false")]
    pub goto: bool,
    /// A chain, or an extension such as DNAT.
    pub target: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<Opt>,
}

/// One `-A` line.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Rule {
    pub chain: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counters: Option<Counters>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub matches: Vec<Match>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jump: Option<Jump>,
    /// The line from `-A` on, where it differs from how we would print it (two spaces, odd quotes).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spelling: Option<String>,
}

impl Rule {
    /// Reads a rule; `None` for any line that is not one.
    pub fn parse(line: &str) -> Option<Self> {
        let (counters, body) = match Counters::read(line) {
            Some((counters, rest)) => (Some(counters), rest.strip_prefix(' ')?),
            None => (None, line),
        };
        if !body.starts_with("-A ") {
            return None;
        }
        let mut tokens = token::split(body)?.into_iter().skip(1);
        let chain = tokens.next().filter(|t| !t.quoted)?.text;
        let mut rule = Self { chain, counters, ..Self::default() };
        rule.read_options(tokens)?;
        if rule.body() != body {
            rule.spelling = Some(body.to_string());
        }
        Some(rule)
    }

    fn read_options(&mut self, tokens: impl Iterator<Item = Token>) -> Option<()> {
        let mut tokens = tokens.peekable();
        // Whether options belong to the jump's target or to the last match.
        let mut in_jump = false;
        while let Some(token) = tokens.next() {
            let negated = token.is_not();
            let name = if negated { tokens.next()? } else { token };
            if !name.is_option() {
                // Old releases wrote `-s ! 10.0.0.0/8`.
                let option = if negated { self.last_option()? } else { return None };
                option.negated = true;
                option.quoted |= name.quoted;
                option.values.push(name.text);
                continue;
            }
            match name.text.as_str() {
                "-m" if !negated => {
                    self.matches.push(Match { module: Some(tokens.next()?.text), options: Vec::new() });
                    in_jump = false;
                    continue;
                }
                "-j" | "-g" if !negated && self.jump.is_none() => {
                    let goto = name.text == "-g";
                    self.jump = Some(Jump { goto, target: tokens.next()?.text, options: Vec::new() });
                    in_jump = true;
                    continue;
                }
                _ => {}
            }
            let mut option = Opt { negated, name: name.text, ..Opt::default() };
            while let Some(value) = tokens.next_if(|t| !t.is_option() && !t.is_not()) {
                option.quoted |= value.quoted;
                option.values.push(value.text);
            }
            self.add(option, in_jump);
        }
        Some(())
    }

    /// The match option read last, if it still waits for its value.
    fn last_option(&mut self) -> Option<&mut Opt> {
        self.matches.last_mut()?.options.last_mut().filter(|o| o.values.is_empty() && !o.negated)
    }

    fn add(&mut self, option: Opt, in_jump: bool) {
        match (&mut self.jump, in_jump) {
            (Some(jump), true) => jump.options.push(option),
            _ => {
                if self.matches.is_empty() {
                    self.matches.push(Match::default());
                }
                if let Some(last) = self.matches.last_mut() {
                    last.options.push(option);
                }
            }
        }
    }

    /// The rule without its counters, as iptables-save writes it.
    pub fn body(&self) -> String {
        if let Some(spelling) = &self.spelling {
            return spelling.clone();
        }
        let mut out = String::with_capacity(160);
        out.push_str("-A ");
        out.push_str(&self.chain);
        for m in &self.matches {
            if let Some(module) = &m.module {
                out.push_str(" -m ");
                out.push_str(module);
            }
            m.options.iter().for_each(|o| o.print(&mut out));
        }
        if let Some(jump) = &self.jump {
            out.push_str(if jump.goto { " -g " } else { " -j " });
            out.push_str(&jump.target);
            jump.options.iter().for_each(|o| o.print(&mut out));
        }
        out
    }

    /// The whole line.
    pub fn print(&self, out: &mut String) {
        if let Some(counters) = self.counters {
            counters.print(out);
            out.push(' ');
        }
        out.push_str(&self.body());
    }

    /// All match options, in order.
    pub fn options(&self) -> impl Iterator<Item = &Opt> {
        self.matches.iter().flat_map(|m| &m.options)
    }

    /// The first match option of this name (`-d`, `--dport`).
    pub fn option(&self, name: &str) -> Option<&Opt> {
        self.options().find(|o| o.name == name)
    }

    /// The value of the target's option (`--to-destination`).
    pub fn target_option(&self, name: &str) -> Option<&str> {
        self.jump.as_ref()?.options.iter().find(|o| o.name == name).map(Opt::value)
    }

    /// The jump's target, or the empty string for a rule that only counts.
    pub fn target(&self) -> &str {
        self.jump.as_ref().map_or("", |j| j.target.as_str())
    }

    /// The comment, or the empty string.
    pub fn comment(&self) -> &str {
        self.option("--comment").map_or("", Opt::value)
    }
}

fn is_false(b: &bool) -> bool {
    !b
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(line: &str) -> Rule {
        let rule = Rule::parse(line).unwrap_or_else(|| panic!("not read: {line}"));
        let mut out = String::new();
        rule.print(&mut out);
        assert_eq!(out, line);
        rule
    }

    #[test]
    fn reads_every_part() {
        let rule = round(
            r#"[3:180] -A KUBE-SVC-X ! -s 10.244.0.0/16 -d 10.96.0.1/32 -p tcp -m comment --comment "a/b:c cluster IP" -m tcp --dport 443 -j MARK --set-xmark 0x4000/0x0"#,
        );
        assert_eq!(rule.counters, Some(Counters { packets: 3, bytes: 180 }));
        let source = rule.option("-s").unwrap();
        assert!(source.negated);
        assert_eq!(source.value(), "10.244.0.0/16");
        assert_eq!(rule.option("--dport").unwrap().value(), "443");
        assert_eq!(rule.matches[2].module.as_deref(), Some("tcp"));
        assert_eq!((rule.comment(), rule.target()), ("a/b:c cluster IP", "MARK"));
        assert_eq!(rule.target_option("--set-xmark"), Some("0x4000/0x0"));
        assert_eq!(rule.spelling, None);
    }

    #[test]
    fn keeps_an_odd_spelling() {
        let rule = round("-A X -m nfacct --nfacct-name  ct_state -j DROP");
        assert_eq!(rule.option("--nfacct-name").unwrap().value(), "ct_state");
        assert!(rule.spelling.is_some());
        assert!(round("-A X -s ! 10.0.0.0/8 -j DROP").option("-s").unwrap().negated);
        assert_eq!(round("-A X -j DROP -m comment --comment late").comment(), "late");
        assert_eq!(round(r"-A X -m comment --comment 'it -j DROP").comment(), "'it");
    }

    #[test]
    fn escapes_goto_and_counting_rules() {
        assert_eq!(round(r#"-A X -m comment --comment "say \"hi\" \\ it\'s""#).comment(), r#"say "hi" \ it's"#);
        assert!(round("-A X -g Y").jump.unwrap().goto);
        assert_eq!(round("-A X -p tcp -m conntrack ! --ctstate NEW").target(), "");
        let two = round("-A X -m set ! --match-set a src,dst ! --update-counters -j RETURN");
        assert!(two.options().all(|o| o.negated));
    }

    #[test]
    fn refuses_what_is_no_rule() {
        for line in
            ["", "-A", "COMMIT", "-N X", "[0:0]-A X", "-A X \"open", "-A X stray", "-A X -j", "-A X !", "-A X -m"]
        {
            assert_eq!(Rule::parse(line), None, "{line}");
        }
    }
}
