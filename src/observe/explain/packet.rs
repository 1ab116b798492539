//! Whether a rule matches the first packet of a connection.

use super::super::observation::Observation;
use super::super::rules::{Opt, Rule};
use super::prefix::Prefix;
use std::net::IpAddr;

/// The first packet of a connection, on its way through a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Packet {
    /// None stands for an address outside of the cluster.
    pub source: Option<IpAddr>,
    pub destination: IpAddr,
    /// In small letters.
    pub protocol: String,
    pub port: u16,
    /// None when it comes from the node itself.
    pub in_dev: Option<String>,
    /// None before routing.
    pub out_dev: Option<String>,
    pub mark: u32,
    /// Whether its destination was changed on this node.
    pub translated: bool,
}

/// What a rule or one of its options says to a packet.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Answer {
    Yes,
    No,
    /// With this probability.
    Chance(f64),
    /// Not understood: the option's name.
    Unknown(String),
}

impl Answer {
    fn of(yes: bool) -> Self {
        if yes { Self::Yes } else { Self::No }
    }

    fn negate(self) -> Self {
        match self {
            Self::Yes => Self::No,
            Self::No => Self::Yes,
            Self::Chance(p) => Self::Chance(1.0 - p),
            unknown => unknown,
        }
    }
}

/// Asks all options of a rule: one "no" settles it; what is not understood counts only if nothing says no.
pub(super) fn matches(rule: &Rule, packet: &Packet, seen: &Observation) -> Answer {
    let (mut chance, mut unknown) = (1.0, None);
    for option in rule.options() {
        let answer = option_matches(option, rule, packet, seen);
        match if option.negated { answer.negate() } else { answer } {
            Answer::Yes => {}
            Answer::No => return Answer::No,
            Answer::Chance(p) => chance *= p,
            Answer::Unknown(what) => unknown = unknown.or(Some(what)),
        }
    }
    match unknown {
        Some(what) => Answer::Unknown(what),
        None if chance >= 1.0 => Answer::Yes,
        None if chance <= 0.0 => Answer::No,
        None => Answer::Chance(chance),
    }
}

fn option_matches(option: &Opt, rule: &Rule, packet: &Packet, seen: &Observation) -> Answer {
    let value = option.value();
    let unknown = || Answer::Unknown(option.name.clone());
    match option.name.as_str() {
        "-s" => prefix(value, packet.source).unwrap_or_else(unknown),
        "-d" => prefix(value, Some(packet.destination)).unwrap_or_else(unknown),
        "-p" => Answer::of(protocol(value) == packet.protocol || matches!(value, "all" | "0")),
        "-i" => Answer::of(packet.in_dev.as_deref().is_some_and(|dev| device(value, dev))),
        "-o" => packet.out_dev.as_deref().map_or_else(unknown, |dev| Answer::of(device(value, dev))),
        "-f" => Answer::No,
        "--dport" | "--dports" | "--destination-port" | "--destination-ports" => {
            ports(value, packet.port).map_or_else(unknown, Answer::of)
        }
        "--mark" => mark(value, packet.mark).map_or_else(unknown, Answer::of),
        "--ctstate" | "--state" => {
            let holds = |s: &str| s == "NEW" || (s == "DNAT" && packet.translated);
            Answer::of(value.split(',').any(holds))
        }
        "--dst-type" if value == "LOCAL" => Answer::of(is_local(packet.destination, seen)),
        "--src-type" if value == "LOCAL" => {
            Answer::of(packet.source.map_or(packet.in_dev.is_none(), |source| is_local(source, seen)))
        }
        "--probability" => value.parse().map_or_else(|_| unknown(), Answer::Chance),
        "--every" => {
            let every = value.parse::<u32>().ok().filter(|n| *n > 0);
            every.map_or_else(unknown, |n| Answer::Chance(1.0 / f64::from(n)))
        }
        // The list of recent clients is empty for a client that comes for the first time.
        "--rcheck" | "--update" => Answer::No,
        "--packet" | "--mode" | "--comment" | "--nfacct-name" | "--set" | "--seconds" | "--reap" | "--mask"
        | "--rsource" => Answer::Yes,
        "--name" if rule.option("--set").or(rule.option("--rcheck")).is_some() => Answer::Yes,
        _ => unknown(),
    }
}

fn prefix(text: &str, address: Option<IpAddr>) -> Option<Answer> {
    let mut covered = false;
    for part in text.split(',') {
        let prefix = Prefix::parse(part)?;
        covered |= address.map_or(prefix.length == 0, |a| prefix.contains(a));
    }
    Some(Answer::of(covered))
}

fn protocol(text: &str) -> &str {
    match text {
        "6" => "tcp",
        "17" => "udp",
        "132" => "sctp",
        name => name,
    }
}

/// A trailing `+` stands for any rest.
fn device(pattern: &str, dev: &str) -> bool {
    pattern.strip_suffix('+').map_or(pattern == dev, |start| dev.starts_with(start))
}

/// `80`, `80:90`, `80,443,8000:8100`.
fn ports(text: &str, port: u16) -> Option<bool> {
    let mut any = false;
    for part in text.split(',') {
        let (from, to) = part.split_once(':').unwrap_or((part, part));
        any |= (from.parse::<u16>().ok()?..=to.parse().ok()?).contains(&port);
    }
    Some(any)
}

fn mark(text: &str, mark: u32) -> Option<bool> {
    let (value, mask) = value_and_mask(text)?;
    Some(mark & mask == value)
}

/// `0x4000/0x4000`; without a mask all bits count.
pub(super) fn value_and_mask(text: &str) -> Option<(u32, u32)> {
    let number = |s: &str| match s.strip_prefix("0x") {
        Some(hex) => u32::from_str_radix(hex, 16).ok(),
        None => s.parse().ok(),
    };
    match text.split_once('/') {
        Some((value, mask)) => Some((number(value)?, number(mask)?)),
        None => Some((number(text)?, u32::MAX)),
    }
}

/// Whether the node takes packets for the address itself.
pub(super) fn is_local(address: IpAddr, seen: &Observation) -> bool {
    address.is_loopback() || seen.owns(&address.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::fixture;

    fn packet() -> Packet {
        Packet {
            source: "10.244.0.2".parse().ok(),
            destination: "10.96.0.1".parse().unwrap(),
            protocol: "tcp".into(),
            port: 443,
            in_dev: Some("cni0".into()),
            out_dev: None,
            mark: 0x4000,
            translated: false,
        }
    }

    fn ask(options: &str) -> Answer {
        let rule = Rule::parse(&format!("-A X {options} -j Y")).unwrap();
        matches(&rule, &packet(), &fixture::after("flannel-ctr"))
    }

    #[test]
    fn yes_and_no() {
        for yes in [
            "-s 10.244.0.0/16 -d 10.96.0.1/32 -p tcp -m tcp --dport 443",
            "! -s 10.0.2.0/24 -i cni+",
            "-p 6 -m multiport --dports 80,440:450",
            "-m mark --mark 0x4000/0x4000",
            "-m conntrack --ctstate RELATED,NEW",
            "-m addrtype ! --dst-type LOCAL",
            "-m recent --set --name KUBE-SEP-X --mask 255.255.255.255 --rsource",
        ] {
            assert_eq!(ask(yes), Answer::Yes, "{yes}");
        }
        for no in [
            "-s 10.244.1.0/24",
            "-p udp",
            "-i eth0",
            "-m mark ! --mark 0x4000/0x4000",
            "-m conntrack --ctstate DNAT",
            "-m recent --rcheck --seconds 10800 --reap --name KUBE-SEP-X",
            "-m unheard --of it -p udp",
        ] {
            assert_eq!(ask(no), Answer::No, "{no}");
        }
    }

    #[test]
    fn chances_and_unknowns() {
        assert_eq!(ask("-m statistic --mode random --probability 0.25"), Answer::Chance(0.25));
        assert_eq!(ask("-m statistic --mode random ! --probability 0.25"), Answer::Chance(0.75));
        assert_eq!(ask("-m statistic --mode nth --every 4 --packet 0"), Answer::Chance(0.25));
        assert_eq!(ask("-m set --match-set a src"), Answer::Unknown("--match-set".into()));
        assert_eq!(ask("-m tcp --dport http"), Answer::Unknown("--dport".into()));
        assert_eq!(ask("-o eth0"), Answer::Unknown("-o".into()));
    }
}
