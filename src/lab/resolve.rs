//! From a lab file to a lab: every problem at once, each with its place in its file.

use super::expand::expand;
use super::file::{LabFile, NodeFile, Text, decode};
use super::library::Library;
use super::model::{Export, Lab, Link, Network, NetworkKind, Node, Subnet};
use super::templates::meant;
use super::tool;
use super::types::{Type, name_problem, size, text_problem};
use super::values;
use crate::error::Error;
use crate::seed::MAX_LINKS;
use crate::yaml::{Problem, Problems, Span, Value, closest, parse};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

/// More nodes than this in one lab is a mistake; a host that could hold them has other tools.
const MAX_NODES: usize = 64;

/// Files whose problems are shown.
const MAX_FILES: usize = 20;

/// What `driver:` may say.
const DRIVERS: [&str; 3] = ["auto", "qemu", "container"];

/// What a lab file is resolved against.
pub struct Sources<'a> {
    /// The lab file's name, for messages.
    pub name: &'a str,
    /// The lab file's text.
    pub text: &'a str,
    /// Finds a template by its path ("kubeadm/init.yaml"): its name for messages and its text.
    pub library: &'a dyn Fn(&str) -> Option<(String, String)>,
    /// Values set from outside (`--set k=v`), by name.
    pub set: &'a BTreeMap<String, String>,
}

/// Problems of several files, each rendered with its own source.
#[derive(Default)]
pub(super) struct Findings(Vec<String>);

impl Findings {
    /// Takes the problems of one file.
    pub(super) fn take(&mut self, problems: Problems, file: &str, source: &str) {
        // Those of the first files are enough to begin with.
        if !problems.is_empty() && self.0.len() < MAX_FILES {
            self.0.push(problems.render(file, source));
        }
    }
}

/// What may stand beside a lab file.
#[derive(Debug, Clone, Default)]
pub struct Beside {
    /// The paths of all templates, for "did you mean".
    pub templates: Vec<String>,
    /// Files of values (`-f values.yaml`): name and text; a later one wins.
    pub values: Vec<(String, String)>,
    /// Values of the run that made the lab; everything else wins over them.
    pub remembered: BTreeMap<String, String>,
}

/// The lab's name in a lab file that may be wrong in everything else.
pub fn name_in(text: &str) -> Option<String> {
    let Value::Map(entries) = parse(text).ok()?.value else { return None };
    let name = entries.iter().find(|(key, _)| key.text == "lab")?.1.text()?;
    name_problem(name).is_none().then(|| name.to_owned())
}

/// Resolves a lab file that stands alone.
///
/// # Errors
/// All problems of the lab file and of the templates it uses, rendered; kind `Input`.
pub fn resolve(sources: &Sources) -> Result<Lab, Error> {
    resolve_with(sources, &Beside::default())
}

/// Resolves a lab file with what stands beside it.
///
/// # Errors
/// All problems of the lab file, of the templates it uses and of files of values, rendered; kind `Input`.
pub fn resolve_with(sources: &Sources, beside: &Beside) -> Result<Lab, Error> {
    let mut problems = Problems::default();
    let mut findings = Findings::default();
    let file = match parse(sources.text) {
        Ok(tree) => decode(&tree, &mut problems),
        Err(problem) => {
            problems.add(problem);
            None
        }
    };
    let lab = file.map(|file| lab(&file, sources, beside, &mut problems, &mut findings));
    let clean = problems.is_empty() && findings.0.is_empty();
    match lab {
        Some(lab) if clean => Ok(lab),
        _ => {
            let mut texts = Findings::default();
            texts.take(problems, sources.name, sources.text);
            texts.0.append(&mut findings.0);
            let count = texts.0.iter().map(|t| t.matches("error: ").count()).sum::<usize>();
            let plural = if count == 1 { "problem" } else { "problems" };
            let why = format!("{count} {plural}\n\n{}", texts.0.join("\n").trim_end());
            Err(Error::input(format!("use the lab file {}", sources.name), why))
        }
    }
}

fn lab(file: &LabFile, sources: &Sources, beside: &Beside, problems: &mut Problems, findings: &mut Findings) -> Lab {
    let library = Library { find: sources.library, all: &beside.templates };
    check_name(&file.name, problems);
    let names: Vec<&str> = file.nodes.iter().map(|n| n.name.value.as_str()).collect();
    let (values, given) = values::of_lab(&file.values, sources.set, beside, &names, problems, findings);
    let networks = networks(file, problems);
    let nodes = nodes(file, &networks, problems);
    let exports = exports(file, &names, problems);
    if let Some(title) = &file.title
        && let Some(why) = text_problem(&title.value)
    {
        problems.add(Problem::new(title.span, why));
    }
    let mut lab = Lab {
        name: file.name.value.clone(),
        title: file.title.as_ref().map_or_else(|| file.name.value.clone(), |t| t.value.clone()),
        image: file.image.value.clone(),
        driver: file.driver.as_ref().map(|d| d.value.clone()),
        values,
        given,
        networks,
        nodes,
        steps: Vec::new(),
        chapters: Vec::new(),
        tools: tool::resolve(&file.tools, &exports, problems),
        checks: Vec::new(),
        exports,
    };
    if library.find(&format!("images/{}.yaml", lab.image)).is_none() {
        let known = library.names("images/", ".yaml");
        let problem = Problem::new(file.image.span, format!("there is no image `{}`", lab.image));
        problems.add(match known.is_empty() {
            true => problem,
            false => problem.help(meant(&lab.image, known.iter().map(String::as_str), "Images")),
        });
    }
    if let Some(driver) = file.driver.as_ref().filter(|d| !DRIVERS.contains(&d.value.as_str())) {
        let help = meant(&driver.value, DRIVERS.into_iter(), "Drivers");
        problems.add(Problem::new(driver.span, format!("there is no driver `{}`", driver.value)).help(help));
    }
    lab.steps = expand(&file.steps, &lab, library, problems, findings);
    lab.chapters = super::chapter::resolve(&file.chapters, &lab, library, problems, findings);
    lab.checks = super::check::resolve(&file.checks, &lab, problems);
    lab
}

fn check_name(name: &Text, problems: &mut Problems) {
    if let Some(message) = name_problem(&name.value) {
        problems.add(Problem::new(name.span, message));
    }
}

fn networks(file: &LabFile, problems: &mut Problems) -> Vec<Network> {
    let mut all: Vec<Network> = Vec::new();
    for item in &file.networks {
        check_name(&item.name, problems);
        let kind = match (item.kind.value.as_str(), &item.subnet) {
            ("nat", None) => {
                if all.iter().any(|n| n.kind == NetworkKind::Nat) {
                    problems.add(Problem::new(item.name.span, "a lab has at most one `nat` network"));
                }
                NetworkKind::Nat
            }
            ("nat", Some(subnet)) => {
                problems.add(Problem::new(
                    subnet.span,
                    "a `nat` network has no subnet of its own: it is always 10.0.2.0/24",
                ));
                continue;
            }
            ("host-only", None) => {
                problems.add(Problem::new(item.name.span, "a `host-only` network needs a `subnet`"));
                continue;
            }
            ("host-only", Some(text)) => match Subnet::parse(&text.value) {
                Ok(subnet) => NetworkKind::HostOnly { subnet },
                Err(why) => {
                    problems.add(Problem::new(text.span, why));
                    continue;
                }
            },
            (other, _) => {
                let problem = Problem::new(item.kind.span, format!("unknown kind of network `{other}`"));
                problems.add(problem.help("nat, host-only"));
                continue;
            }
        };
        if let NetworkKind::HostOnly { subnet } = kind {
            let nat = Subnet { address: Ipv4Addr::new(10, 0, 2, 0), prefix: 24 };
            let other =
                all.iter().find(|n| matches!(n.kind, NetworkKind::HostOnly { subnet: s } if s.overlaps(subnet)));
            let clash =
                other.map(|n| n.name.as_str()).or(subnet.overlaps(nat).then_some("the NAT network 10.0.2.0/24"));
            if let Some(clash) = clash {
                problems.add(Problem::new(item.name.span, format!("{subnet} overlaps {clash}")));
            }
        }
        all.push(Network { name: item.name.value.clone(), kind });
    }
    all.sort_by_key(|n| n.kind != NetworkKind::Nat);
    all
}

fn nodes(file: &LabFile, networks: &[Network], problems: &mut Problems) -> Vec<Node> {
    if file.nodes.is_empty() {
        problems.add(Problem::new(Span::default(), "a lab needs at least one node under `nodes`"));
    }
    if let Some(extra) = file.nodes.get(MAX_NODES) {
        problems.add(Problem::new(extra.name.span, format!("more than {MAX_NODES} nodes in one lab")));
    }
    for (name, _) in file.nodes.iter().flat_map(|node| &node.networks) {
        known_network(name, file, networks, problems);
    }
    let mut taken = BTreeMap::new();
    let all = file.nodes.iter().enumerate().take(MAX_NODES);
    all.map(|(index, item)| node(index, item, networks, &mut taken, problems)).collect()
}

/// A node's network is a host-only one of this lab. What is wrong with one that is declared is said there.
fn known_network(name: &Text, file: &LabFile, networks: &[Network], problems: &mut Problems) {
    let found = networks.iter().find(|n| n.name == name.value);
    let declared = file.networks.iter().any(|n| n.name.value == name.value);
    if found.map_or(declared, |n| n.kind != NetworkKind::Nat) {
        return;
    }
    let own: Vec<&str> =
        file.networks.iter().filter(|n| n.kind.value != "nat").map(|n| n.name.value.as_str()).collect();
    let help = match (closest(&name.value, own.iter().copied()), own.as_slice()) {
        (Some(near), _) => format!("did you mean `{near}`?"),
        (None, []) => "this lab has no host-only network".to_owned(),
        (None, own) => format!("host-only networks of this lab: {}", own.join(", ")),
    };
    problems.add(Problem::new(name.span, format!("unknown network `{}`", name.value)).help(help));
}

fn node(
    index: usize,
    item: &NodeFile,
    networks: &[Network],
    taken: &mut BTreeMap<Ipv4Addr, String>,
    problems: &mut Problems,
) -> Node {
    check_name(&item.name, problems);
    let mut read = |text: &Option<Text>, default: u64, read: fn(&str) -> Result<u64, String>| match text {
        None => default,
        Some(text) => read(&text.value).unwrap_or_else(|why| {
            problems.add(Problem::new(text.span, why));
            default
        }),
    };
    let count = |text: &str| {
        let good = text.parse().ok().filter(|n| (1..=64).contains(n));
        good.ok_or_else(|| format!("`{text}` is no number of processors from 1 to 64"))
    };
    let cpus = read(&item.cpus, 1, count);
    let memory = read(&item.memory, 1 << 30, at_least::<{ 256 << 20 }>);
    let disk = read(&item.disk, 12 << 30, at_least::<{ 4 << 30 }>);
    let mut links = Vec::new();
    for (number, network) in networks.iter().enumerate() {
        let given = item.networks.iter().find(|(name, _)| name.value == network.name).map(|(_, address)| address);
        let (address, prefix) = match (network.kind, given) {
            (NetworkKind::Nat, _) => (None, 24),
            (NetworkKind::HostOnly { .. }, None) => continue,
            (NetworkKind::HostOnly { subnet }, Some(text)) => {
                (address(text, subnet, &item.name.value, taken, problems), subnet.prefix)
            }
        };
        let mac = format!("52:54:00:00:{number:02x}:{:02x}", index + 1);
        links.push(Link { device: format!("eth{}", links.len()), network: network.name.clone(), address, prefix, mac });
    }
    if links.len() > MAX_LINKS {
        problems.add(Problem::new(item.name.span, format!("a node has at most {MAX_LINKS} networks")));
    }
    let cpus = u32::try_from(cpus).unwrap_or(1);
    Node { name: item.name.value.clone(), cpus, memory, disk, links }
}

fn at_least<const MIN: u64>(text: &str) -> Result<u64, String> {
    let bytes = size(text)?;
    if bytes < MIN { Err(format!("`{text}` is too little: at least {} MiB", MIN >> 20)) } else { Ok(bytes) }
}

fn address(
    text: &Text,
    subnet: Subnet,
    node: &str,
    taken: &mut BTreeMap<Ipv4Addr, String>,
    problems: &mut Problems,
) -> Option<Ipv4Addr> {
    let why = match text.value.parse::<Ipv4Addr>() {
        Err(_) => format!("`{}` is no IPv4 address", text.value),
        Ok(address) if !subnet.has_room_for(address) => format!("{address} is no address for a node in {subnet}"),
        Ok(address) => match taken.insert(address, node.to_owned()) {
            None => return Some(address),
            Some(other) => format!("{address} is {other}'s already"),
        },
    };
    problems.add(Problem::new(text.span, why));
    None
}

fn exports(file: &LabFile, nodes: &[&str], problems: &mut Problems) -> BTreeMap<String, Export> {
    let mut all = BTreeMap::new();
    for item in &file.exports {
        check_name(&item.name, problems);
        if let Err(why) = Type::Node.read(&item.node.value, nodes) {
            problems.add(Problem::new(item.node.span, why));
        }
        if !item.path.value.starts_with('/') {
            problems.add(Problem::new(item.path.span, "a path on a node is absolute"));
        }
        let port = item.port.as_ref().and_then(|text| {
            let port = text.value.parse().ok().filter(|p| *p != 0);
            if port.is_none() {
                problems.add(Problem::new(text.span, "a port is a number from 1 to 65535"));
            }
            port
        });
        let (node, path) = (item.node.value.clone(), item.path.value.clone());
        all.insert(item.name.value.clone(), Export { node, path, port });
    }
    all
}

#[cfg(test)]
#[path = "resolve_tests.rs"]
mod tests;
