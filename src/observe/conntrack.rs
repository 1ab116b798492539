//! Connections that the kernel tracks: `conntrack -L -o extended`, read line by line.

use serde::{Deserialize, Serialize};

/// A connection as the kernel tracks it: where it was sent, and from where it is answered.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Connection {
    /// `ipv4`, `ipv6`.
    pub family: String,
    /// `tcp`, `udp`.
    pub protocol: String,
    /// Seconds until it is forgotten.
    pub seconds: u32,
    /// TCP's state: `ESTABLISHED`, `TIME_WAIT`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// As the client sent it.
    pub original: Direction,
    /// As the answer comes: its source is who really answers.
    pub reply: Direction,
    /// `ASSURED`, `UNREPLIED`.
    pub flags: Vec<String>,
}

/// One direction of a connection.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Direction {
    pub source: String,
    pub destination: String,
    /// 0 for protocols without ports.
    pub source_port: u16,
    pub destination_port: u16,
}

impl Connection {
    /// Whether its destination was changed on this node.
    pub fn is_translated(&self) -> bool {
        let (sent, answers) = (&self.original, &self.reply);
        (sent.destination.as_str(), sent.destination_port) != (answers.source.as_str(), answers.source_port)
    }
}

/// Reads all lines; the second part holds those that were not understood.
pub fn parse(text: &str) -> (Vec<Connection>, Vec<String>) {
    let (mut found, mut unread) = (Vec::new(), Vec::new());
    for line in text.lines().filter(|l| !l.trim().is_empty()) {
        match connection(line) {
            Some(connection) => found.push(connection),
            None => unread.push(line.to_string()),
        }
    }
    (found, unread)
}

/// `ipv4 2 tcp 6 86 TIME_WAIT src=A dst=B sport=1 dport=2 src=C dst=D sport=3 dport=4 [ASSURED] mark=0 use=1`. Fields
/// that are not asked for, as `packets=`, are passed over.
fn connection(line: &str) -> Option<Connection> {
    let mut words = line.split_whitespace();
    let family = words.next().filter(|w| w.starts_with("ip"))?.to_string();
    words.next()?.parse::<u32>().ok()?;
    let protocol = words.next()?.to_string();
    words.next()?.parse::<u32>().ok()?;
    let seconds = words.next()?.parse().ok()?;
    let mut connection = Connection { family, protocol, seconds, ..Connection::default() };
    let mut sources = 0;
    for word in words {
        if let Some(flag) = word.strip_prefix('[').and_then(|w| w.strip_suffix(']')) {
            connection.flags.push(flag.to_string());
            continue;
        }
        let Some((key, value)) = word.split_once('=') else {
            connection.state = Some(word.to_string());
            continue;
        };
        sources += usize::from(key == "src");
        let direction = if sources > 1 { &mut connection.reply } else { &mut connection.original };
        match key {
            "src" => direction.source = value.to_string(),
            "dst" => direction.destination = value.to_string(),
            "sport" => direction.source_port = value.parse().ok()?,
            "dport" => direction.destination_port = value.parse().ok()?,
            _ => {}
        }
    }
    (sources == 2).then_some(connection)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LINE: &str = "ipv4     2 tcp      6 117 TIME_WAIT src=10.244.0.2 dst=10.96.97.203 sport=41312 dport=80 \
                        src=10.244.1.2 dst=10.244.0.2 sport=80 dport=41312 [ASSURED] mark=0 use=1\n";

    #[test]
    fn a_translated_connection() {
        let (found, unread) = parse(LINE);
        assert!(unread.is_empty());
        let [c] = found.as_slice() else { panic!("{found:?}") };
        assert!(c.is_translated());
        assert_eq!((c.state.as_deref(), c.seconds, c.flags[0].as_str()), (Some("TIME_WAIT"), 117, "ASSURED"));
        assert_eq!((c.original.destination.as_str(), c.original.destination_port), ("10.96.97.203", 80));
        assert_eq!((c.reply.source.as_str(), c.reply.source_port), ("10.244.1.2", 80));
    }

    #[test]
    fn unreplied_icmp_and_strange_lines() {
        let icmp = "ipv4 2 icmp 1 29 src=10.0.2.15 dst=10.0.2.2 type=8 code=0 id=7 [UNREPLIED] src=10.0.2.2 \
                    dst=10.0.2.15 type=0 code=0 id=7 mark=0 use=1";
        let (found, unread) = parse(&format!("{icmp}\nnot a connection\nipv4 2 tcp 6 x\n"));
        assert_eq!((found.len(), unread.len()), (1, 2));
        assert!(!found[0].is_translated() && found[0].flags == ["UNREPLIED"]);
    }

    proptest! {
        #[test]
        fn no_line_is_lost(lines in proptest::collection::vec("(ipv4 2 tcp 6 [0-9]{1,12} |x)(src=[0-9.]{0,3} |dst=a |sport=[0-9]{1,7} |\\[\\] |ST ){0,9}", 0..5)) {
            let text = lines.join("\n");
            let (found, unread) = parse(&text);
            prop_assert_eq!(found.len() + unread.len(), text.lines().filter(|l| !l.trim().is_empty()).count());
        }
    }
}
