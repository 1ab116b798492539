//! The script that captures a node, and the reading of what it wrote.

use super::cluster::Cluster;
use super::observation::{Note, Observation, RawLine};
use super::paint::harmless;
use super::rules::Ruleset;
use super::{conntrack, iproute};
use crate::template::quote;
use serde_json::Value;

/// Starts every line that is the script's own.
const MARK: &str = "@@lab-observe-b3f1c6d07a92@@ ";

/// Sections whose failure is ordinary: the node may do without.
const OPTIONAL: [&str; 4] = ["rules6", "nft", "ipvs", "hostname"];

/// What is wanted of a node beside its network.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wanted {
    /// The cluster's own objects, by this kubeconfig on the node.
    pub cluster: Option<String>,
    /// The connections that the kernel tracks.
    pub connections: bool,
}

/// The script: POSIX sh, run as root on the node in one exec. Its output goes to [`parse`].
pub fn script() -> &'static str {
    include_str!("capture.sh")
}

/// The one command that captures a node.
pub fn command(wanted: &Wanted) -> String {
    let mut command = String::new();
    if let Some(path) = &wanted.cluster {
        command += &format!("LAB_CLUSTER={} ", quote(path));
    }
    if wanted.connections {
        command += "LAB_CONNTRACK=1 ";
    }
    command + &format!("sh -c {}", quote(script()))
}

/// A part of the script's output.
#[derive(Debug, PartialEq, Eq)]
struct Section<'a> {
    name: &'a str,
    body: String,
    errors: Vec<&'a str>,
    /// None where the output broke off.
    status: Option<i32>,
}

/// Reads what the script wrote on `node`. Never fails: what is wrong stands in the notes, what is not understood in
/// `raw`.
pub fn parse(node: &str, text: &str) -> Observation {
    let mut seen = Observation { node: node.to_string(), ..Observation::default() };
    let text = harmless(text);
    if text.matches('\u{fffd}').count() > 0 && matches!(text, std::borrow::Cow::Owned(_)) {
        note(&mut seen, "", "control characters were replaced".to_string());
    }
    let (sections, strays, complete) = split(&text);
    seen.raw.extend(strays.into_iter().map(|text| RawLine { section: String::new(), text: text.to_string() }));
    for section in &sections {
        if section.status != Some(0) {
            seen.failed.insert(section.name.to_string(), section.status.unwrap_or(-1));
            if !OPTIONAL.contains(&section.name) {
                note(&mut seen, section.name, failure(section));
            }
        } else if section.name != "conntrack" {
            // conntrack counts its lines there.
            for error in &section.errors {
                note(&mut seen, section.name, error.to_string());
            }
        }
        read(&mut seen, section);
    }
    if !complete {
        note(&mut seen, "", "the capture broke off: what follows its last section is missing".to_string());
    }
    for required in ["links", "addresses", "routes", "neighbours", "fdb", "rules", "sysctls"] {
        if !sections.iter().any(|s| s.name == required) {
            seen.failed.insert(required.to_string(), -1);
        }
    }
    seen
}

fn failure(section: &Section) -> String {
    let errors = section.errors.join("; ");
    match section.status {
        Some(127) => format!("not captured: the command is not there ({errors})"),
        Some(status) => format!("not captured: exit status {status} ({errors})"),
        None => "broke off".to_string(),
    }
}

fn note(seen: &mut Observation, section: &str, text: String) {
    seen.notes.push(Note { section: section.to_string(), text });
}

/// Splits into sections, lines outside of any, and whether the script reached its end.
fn split(text: &str) -> (Vec<Section<'_>>, Vec<&str>, bool) {
    let (mut sections, mut strays) = (Vec::<Section>::new(), Vec::new());
    let (mut open, mut complete) = (false, false);
    for line in text.split_inclusive('\n') {
        let bare = line.trim_end_matches(['\n', '\r']);
        let ours = bare.strip_prefix(MARK);
        match (ours.map(|l| l.split_once(' ').unwrap_or((l, ""))), sections.last_mut()) {
            (Some(("begin", name)), _) => {
                sections.push(Section { name, body: String::new(), errors: Vec::new(), status: None });
                open = true;
            }
            (Some(("error", error)), Some(section)) if open => section.errors.push(error),
            (Some(("end", rest)), Some(section)) if open => {
                section.status = rest.rsplit_once(' ').and_then(|(_, status)| status.parse().ok());
                // The script ends a command's last line in any case; that line end is not the command's.
                if section.body.ends_with('\n') {
                    section.body.pop();
                }
                open = false;
            }
            (Some(("done", _)), _) => complete = true,
            (None, Some(section)) if open => section.body.push_str(line),
            _ if bare.is_empty() => {}
            _ => strays.push(bare),
        }
    }
    (sections, strays, complete && !open)
}

fn read(seen: &mut Observation, section: &Section) {
    let body = section.body.as_str();
    match section.name {
        "links" => seen.links = items(seen, section, iproute::link),
        "addresses" => seen.addresses = items(seen, section, iproute::addresses),
        "policy" => seen.policy = items(seen, section, iproute::policy),
        "routes" | "routes6" => {
            let ipv6 = section.name == "routes6";
            let routes = items(seen, section, |v| iproute::route(v, ipv6));
            seen.routes.extend(routes);
        }
        "neighbours" => seen.neighbours = items(seen, section, iproute::neighbour),
        "fdb" => seen.fdb = items(seen, section, iproute::fdb),
        "rules" => seen.rules = rules(seen, section),
        "rules6" => seen.rules6 = rules(seen, section),
        "sysctls" => sysctls(seen, body),
        "nft" => seen.nft_tables = body.lines().filter_map(|l| l.strip_prefix("table ")).map(String::from).collect(),
        "ipvs" => {
            let server = |l: &&str| ["TCP ", "UDP ", "SCTP ", "FWM "].iter().any(|p| l.starts_with(p));
            seen.ipvs_services = body.lines().filter(server).map(String::from).collect();
        }
        "conntrack" => {
            let (connections, unread) = conntrack::parse(body);
            let raw = |text| RawLine { section: section.name.to_string(), text };
            seen.raw.extend(unread.into_iter().map(raw));
            seen.connections = connections;
        }
        "cluster" if section.status == Some(0) => match Cluster::parse(body) {
            Ok(cluster) => seen.cluster = Some(cluster),
            Err(error) => {
                seen.failed.insert(section.name.to_string(), -1);
                note(seen, section.name, error.why);
            }
        },
        // What the client says of its failure stands in its errors.
        "hostname" | "cluster" => {}
        name => match name.split_once(':') {
            Some(("file", path)) if section.status == Some(0) => {
                seen.files.insert(path.to_string(), body.to_string());
            }
            Some(("text", command)) if section.status == Some(0) => {
                seen.texts.insert(command.to_string(), body.to_string());
            }
            Some(("file" | "text", _)) => {}
            _ => {
                let raw = |text: &str| RawLine { section: name.to_string(), text: text.to_string() };
                seen.raw.extend(body.lines().map(raw));
            }
        },
    }
}

fn items<T>(seen: &mut Observation, section: &Section, read: impl Fn(&Value) -> Vec<T>) -> Vec<T> {
    match iproute::list(&section.body, read) {
        Ok((items, unknown)) => {
            let raw = |text| RawLine { section: section.name.to_string(), text };
            seen.raw.extend(unknown.into_iter().map(raw));
            items
        }
        Err(why) => {
            if section.status == Some(0) {
                note(seen, section.name, format!("not JSON: {why}"));
                seen.failed.insert(section.name.to_string(), -1);
            }
            seen.raw.push(RawLine { section: section.name.to_string(), text: section.body.clone() });
            Vec::new()
        }
    }
}

fn rules(seen: &mut Observation, section: &Section) -> Ruleset {
    let set = Ruleset::parse(&section.body);
    let warnings: Vec<String> = set.warnings().into_iter().map(String::from).collect();
    let unknown = set.unknown().into_iter().map(|text| RawLine { section: section.name.into(), text: text.into() });
    seen.raw.extend(unknown);
    for warning in warnings {
        note(seen, section.name, warning);
    }
    set
}

fn sysctls(seen: &mut Observation, body: &str) {
    for line in body.lines().filter(|l| !l.trim().is_empty()) {
        match line.split_once('=') {
            Some((key, value)) => {
                seen.sysctls.insert(key.trim().to_string(), value.trim().to_string());
            }
            None => seen.raw.push(RawLine { section: "sysctls".into(), text: line.into() }),
        }
    }
}

#[cfg(test)]
mod tests;
