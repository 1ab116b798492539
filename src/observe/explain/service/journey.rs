//! Connections to a service, followed on each node through nat, filter and routing.

use super::super::super::cluster::{Cluster, Pod, Service, ServicePort};
use super::super::super::observation::Observation;
use super::super::super::rules::Index;
use super::super::packet::{self, Packet};
use super::super::walk::{Step, Verdict, Walker, Way};
use super::super::{delivery, prefix, route};
use super::{Backend, Legs, backend_at, limits};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// Connections of one kind of client to one address of the service, on one node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Journey {
    pub node: String,
    /// Who connects, in words.
    pub from: String,
    pub source: Option<String>,
    /// address:port.
    pub to: String,
    /// Where the walk begins: PREROUTING, or OUTPUT for what the node itself sends.
    pub chain: String,
    pub outcomes: Vec<Outcome>,
    pub notes: Vec<String>,
}

/// One way that a connection can go.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The part of all connections that goes this way, of 1.
    pub share: f64,
    pub verdict: Verdict,
    pub backend: Option<Backend>,
    /// The rules that it meets, in order: nat, then filter where that refuses it.
    pub steps: Vec<Step>,
    /// Whether the pod sees the node's address instead of the client's.
    pub masqueraded: bool,
    /// The POSTROUTING rules that decide so.
    pub source_rules: Vec<Step>,
    pub legs: Legs,
}

/// The part of a journey's connections that an endpoint gets, of 1.
pub fn share_of(journey: &Journey, endpoint: &str) -> f64 {
    let gets = |o: &&Outcome| matches!(&o.verdict, Verdict::Dnat { to } if to == endpoint);
    journey.outcomes.iter().filter(gets).map(|o| o.share).sum()
}

/// An observation with its rules sorted for walking.
pub(in super::super) struct Sight<'a> {
    pub seen: &'a Observation,
    pub v4: Index<'a>,
    pub v6: Index<'a>,
}

impl<'a> Sight<'a> {
    pub fn new(seen: &'a Observation) -> Self {
        Self { seen, v4: Index::new(&seen.rules), v6: Index::new(&seen.rules6) }
    }

    pub fn index(&self, ipv6: bool) -> &Index<'a> {
        if ipv6 { &self.v6 } else { &self.v4 }
    }
}

/// Who connects to what.
struct Client {
    from: String,
    source: Option<IpAddr>,
    in_dev: Option<String>,
    destination: IpAddr,
    port: u16,
}

/// All journeys that show how a port works.
pub(super) fn journeys(
    service: &Service,
    port: &ServicePort,
    sights: &[Sight],
    cluster: &Cluster,
    from: Option<&Pod>,
) -> Vec<Journey> {
    let mut journeys = Vec::new();
    let addresses: Vec<IpAddr> = service.cluster_ips.iter().filter_map(|ip| ip.parse().ok()).collect();
    for sight in sights.iter().filter(|s| limits::of_node(s.seen).is_none()) {
        if from.is_some_and(|pod| pod.node != sight.seen.node) {
            continue;
        }
        let mut clients = Vec::new();
        for &address in &addresses {
            match from {
                Some(pod) if pod.host_network => {
                    clients.push(of_node(sight.seen, address, port.port, &pod.full_name()))
                }
                Some(pod) => clients.extend(of_pod(sight.seen, pod, address, port.port)),
                None => {
                    clients.extend(of_some_pod(sight.seen, cluster, service, address, port.port));
                    clients.push(of_node(sight.seen, address, port.port, "the node itself"));
                }
            }
        }
        if from.is_none() {
            clients.extend(from_outside(service, port, sight.seen, cluster));
        }
        journeys.extend(clients.into_iter().map(|c| follow(c, port, sight, sights, cluster)));
    }
    journeys
}

fn of_pod(seen: &Observation, pod: &Pod, destination: IpAddr, port: u16) -> Option<Client> {
    let source =
        pod.ips.iter().filter_map(|ip| ip.parse().ok()).find(|ip: &IpAddr| ip.is_ipv6() == destination.is_ipv6())?;
    let in_dev = route::lookup(seen, source).chosen.and_then(|r| r.dev);
    Some(Client {
        from: pod.full_name(),
        source: Some(source),
        in_dev: in_dev.or(Some(String::new())),
        destination,
        port,
    })
}

/// A pod of the node that is no endpoint of the service, real or made up from the node's pod network.
fn of_some_pod(
    seen: &Observation,
    cluster: &Cluster,
    service: &Service,
    destination: IpAddr,
    port: u16,
) -> Option<Client> {
    let mut slices = cluster.slices.iter().filter(|s| s.namespace == service.namespace && s.service == service.name);
    let mut endpoint = |pod: &Pod| slices.any(|s| s.endpoints.iter().any(|e| pod.ips.contains(&e.address)));
    let here =
        |p: &&Pod| p.node == seen.node && !p.host_network && p.phase == "Running" && p.namespace != "kube-system";
    if let Some(pod) = cluster.pods.iter().filter(here).find(|p| !endpoint(p)) {
        return of_pod(seen, pod, destination, port);
    }
    let node = cluster.nodes.iter().find(|n| n.name == seen.node)?;
    let of_family = |cidr: &&String| cidr.contains(':') == destination.is_ipv6();
    let network = node.pod_cidrs.iter().find(of_family)?.split('/').next()?.parse().ok()?;
    // A high address: the plugin gives out low ones first.
    let source = match network {
        IpAddr::V4(ip) => IpAddr::V4((ip.to_bits() | 0xc8).into()),
        IpAddr::V6(ip) => IpAddr::V6((ip.to_bits() | 0xc8).into()),
    };
    let in_dev = route::lookup(seen, source).chosen.and_then(|r| r.dev).or(Some(String::new()));
    Some(Client { from: "any pod of the node".to_string(), source: Some(source), in_dev, destination, port })
}

fn of_node(seen: &Observation, destination: IpAddr, port: u16, from: &str) -> Client {
    let source = route::lookup(seen, destination).source.and_then(|s| s.parse().ok());
    Client { from: from.to_string(), source, in_dev: None, destination, port }
}

/// Clients outside of the cluster: by node port, external address and load balancer.
fn from_outside(service: &Service, port: &ServicePort, seen: &Observation, cluster: &Cluster) -> Vec<Client> {
    let node = cluster.nodes.iter().find(|n| n.name == seen.node);
    let own = node.and_then(|n| n.internal_ips.first());
    let in_dev = own.and_then(|ip| seen.addresses.iter().find(|a| a.address == *ip)).map(|a| a.dev.clone());
    let client = |ip: &String, port: u16| {
        let from = "a client outside of the cluster".to_string();
        let in_dev = in_dev.clone().or(Some(String::new()));
        ip.parse().ok().map(|destination| Client { from, source: None, in_dev, destination, port })
    };
    let mut clients: Vec<Client> =
        own.filter(|_| port.node_port != 0).and_then(|ip| client(ip, port.node_port)).into_iter().collect();
    let external = service.external_ips.iter().chain(&service.load_balancer_ips);
    clients.extend(external.filter_map(|ip| client(ip, port.port)));
    clients
}

fn follow(client: Client, port: &ServicePort, sight: &Sight, sights: &[Sight], cluster: &Cluster) -> Journey {
    let chain = if client.in_dev.is_some() { "PREROUTING" } else { "OUTPUT" };
    let start = Packet {
        source: client.source,
        destination: client.destination,
        protocol: port.protocol.to_ascii_lowercase(),
        port: client.port,
        in_dev: client.in_dev,
        out_dev: None,
        mark: 0,
        translated: false,
    };
    let index = sight.index(client.destination.is_ipv6());
    let mut walker = Walker::new(index, sight.seen, "nat");
    let ways = walker.walk(chain, start);
    let mut notes = walker.notes;
    let outcomes = ways.into_iter().map(|way| outcome(way, sight, sights, cluster, &mut notes)).collect();
    notes.dedup();
    Journey {
        node: sight.seen.node.clone(),
        from: client.from,
        source: client.source.map(|s| s.to_string()),
        to: prefix::endpoint(&client.destination.to_string(), client.port),
        chain: chain.to_string(),
        outcomes,
        notes,
    }
}

fn outcome(way: Way, sight: &Sight, sights: &[Sight], cluster: &Cluster, notes: &mut Vec<String>) -> Outcome {
    let Way { share, mut packet, steps, verdict } = way;
    let mut steps: Vec<Step> = steps.iter().map(|s| (**s).clone()).collect();
    let destination = packet.destination;
    let index = sight.index(destination.is_ipv6());
    let chain = match (&packet.in_dev, packet::is_local(destination, sight.seen)) {
        (None, _) => "OUTPUT",
        (Some(_), true) => "INPUT",
        (Some(_), false) => "FORWARD",
    };
    packet.out_dev = route::lookup(sight.seen, destination).chosen.and_then(|r| r.dev);
    let mut walker = Walker::new(index, sight.seen, "filter");
    let filtered = walker.walk(chain, packet.clone());
    notes.append(&mut walker.notes);
    let refusal = filtered.into_iter().find(|w| matches!(w.verdict, Verdict::Drop | Verdict::Reject { .. }));
    let backend = match &verdict {
        Verdict::Dnat { to } => Some(backend_at(cluster, to)),
        _ => None,
    };
    if let Some(refused) = refusal {
        steps.extend(refused.steps.iter().map(|s| (**s).clone()));
        let verdict = refused.verdict;
        return Outcome {
            share,
            verdict,
            backend,
            steps,
            masqueraded: false,
            source_rules: Vec::new(),
            legs: Vec::new(),
        };
    }
    let (masqueraded, source_rules, mut unclear) =
        source_rules(sight.seen, index, packet.source, destination, packet.mark);
    notes.append(&mut unclear);
    let nodes: Vec<&Observation> = sights.iter().map(|s| s.seen).collect();
    let legs = delivery::deliver(&nodes, &sight.seen.node, destination);
    Outcome { share, verdict, backend, steps, masqueraded, source_rules, legs }
}

/// Whether a connection leaves the node with the node's own source address, the POSTROUTING rules that decide it, and
/// what was not understood.
pub(in super::super) fn source_rules(
    seen: &Observation,
    index: &Index,
    source: Option<IpAddr>,
    destination: IpAddr,
    mark: u32,
) -> (bool, Vec<Step>, Vec<String>) {
    let out_dev = route::lookup(seen, destination).chosen.and_then(|r| r.dev);
    let packet =
        Packet { source, destination, protocol: String::new(), port: 0, in_dev: None, out_dev, mark, translated: true };
    let mut walker = Walker::new(index, seen, "nat");
    let ways = walker.walk("POSTROUTING", packet);
    let likely = ways.into_iter().max_by(|a, b| a.share.total_cmp(&b.share));
    let (masqueraded, steps) = likely.map_or((false, Vec::new()), |way| {
        let steps = way.steps.iter().map(|s| (**s).clone()).collect();
        (way.verdict == Verdict::Masquerade, steps)
    });
    (masqueraded, steps, walker.notes)
}
