//! Connections to a service from a pod, to be counted: who opens them, by which command, and what it said.

use super::super::cluster::{Cluster, Pod};
use super::find_pod;
use super::service::find;
use crate::error::{Error, Result};
use crate::template::quote;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// Who opens connections, and the command for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// The node that the command runs on, as root.
    pub node: String,
    /// In words: a pod, or the node itself.
    pub from: String,
    pub command: String,
}

/// What became of the connections to one port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// `tcp/10.96.97.203/80`.
    pub target: String,
    /// Opened; datagrams count when they were sent.
    pub good: u32,
    /// Refused, unreachable or without an answer for ten seconds.
    pub bad: u32,
}

/// The client of `count` connections to each port of a service: the pod named by `from`, else a pod that is no endpoint
/// of the service, else the first node itself.
///
/// # Errors
/// When there is no such service or pod, or the service has no address.
pub fn client(name: &str, count: u32, from: Option<&str>, cluster: &Cluster) -> Result<Client> {
    let service = find(name, cluster)?;
    let what = || format!("connect to service {}/{}", service.namespace, service.name);
    let addresses: Vec<IpAddr> = service.cluster_ips.iter().filter_map(|ip| ip.parse().ok()).collect();
    let Some(address) = addresses.first() else {
        return Err(Error::failed(what(), "it has no address of its own"));
    };
    let pod = match from {
        Some(pod) => Some(find_pod(cluster, pod)?),
        None => some_pod(cluster, &service.namespace, &service.name),
    };
    let source = match pod.filter(|p| !p.host_network) {
        Some(pod) => {
            let same = |ip: &&String| ip.contains(':') == address.is_ipv6();
            let none = || Error::failed(what(), format!("{} has no address of its family", pod.full_name()));
            pod.ips.iter().find(same).ok_or_else(none)?.as_str()
        }
        None => "",
    };
    let first = || cluster.nodes.first().map(|n| n.name.clone());
    let node = pod.map(|p| p.node.clone()).or_else(first);
    let node = node.ok_or_else(|| Error::failed(what(), "the cluster has no nodes"))?;
    let from = pod.map_or_else(|| "the node itself".to_string(), Pod::full_name);
    let targets = service.ports.iter().map(|p| format!("{}/{address}/{}", p.protocol.to_ascii_lowercase(), p.port));
    let targets: Vec<String> = targets.filter(|t| t.starts_with("tcp/") || t.starts_with("udp/")).collect();
    let command = format!(
        "LAB_SOURCE={} LAB_TARGETS={} LAB_COUNT={count} bash -c {}",
        quote(source),
        quote(&targets.join(" ")),
        quote(include_str!("client.sh"))
    );
    Ok(Client { node, from, command })
}

/// A running pod with an address of its own that is no endpoint of the service, one of the same namespace first.
fn some_pod<'a>(cluster: &'a Cluster, namespace: &str, service: &str) -> Option<&'a Pod> {
    let slices = cluster.slices.iter().filter(|s| s.namespace == namespace && s.service == service);
    let endpoints: Vec<&str> = slices.flat_map(|s| &s.endpoints).map(|e| e.address.as_str()).collect();
    let fits =
        |p: &&Pod| !p.host_network && p.phase == "Running" && p.ips.iter().all(|ip| !endpoints.contains(&ip.as_str()));
    let rank = |p: &&Pod| (p.namespace != namespace, p.namespace == "kube-system", p.name.clone());
    cluster.pods.iter().filter(fits).filter(|p| !p.ips.is_empty()).min_by_key(rank)
}

/// Reads what the client's command printed.
pub fn sent(text: &str) -> Vec<Sent> {
    let read = |line: &str| {
        let mut words = line.split_whitespace();
        let target = words.next()?.to_string();
        Some(Sent { target, good: words.next()?.parse().ok()?, bad: words.next()?.parse().ok()? })
    };
    text.lines().filter_map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::fixture;

    #[test]
    fn a_pod_that_is_no_endpoint_is_chosen() {
        let cluster = fixture::cluster();
        let webpod = client("webpod", 200, None, &cluster).unwrap();
        assert_eq!((webpod.node.as_str(), webpod.from.as_str()), ("flannel-ctr", "default/curl-pod"));
        assert!(webpod.command.contains("LAB_SOURCE='10.244.0.2'") && webpod.command.contains("LAB_COUNT=200"));
        let dns = client("kube-system/kube-dns", 1, Some("curl-pod"), &cluster).unwrap();
        assert!(dns.command.contains("LAB_TARGETS='udp/10.96.0.10/53 tcp/10.96.0.10/53 tcp/10.96.0.10/9153'"));
        assert!(client("webpod", 1, Some("nobody"), &cluster).is_err());
    }

    #[test]
    fn without_a_pod_the_node_connects() {
        let mut cluster = fixture::cluster();
        cluster.pods.clear();
        let client = client("webpod", 1, None, &cluster).unwrap();
        assert_eq!(client.from, "the node itself");
        assert!(client.command.contains("LAB_SOURCE='' "));
    }

    #[test]
    fn connections_from_the_own_network_are_counted() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let open = listener.local_addr().unwrap().port();
        let run = |targets: &str, source: &str| {
            let mut bash = std::process::Command::new("bash");
            bash.args(["-c", include_str!("client.sh")]).env("LAB_SOURCE", source);
            bash.env("LAB_TARGETS", targets).env("LAB_COUNT", "3").output().unwrap()
        };
        let out = run(&format!("tcp/127.0.0.1/{open} tcp/127.0.0.1/1 udp/127.0.0.1/9"), "");
        let sent = sent(&String::from_utf8(out.stdout).unwrap());
        let counts: Vec<_> = sent.iter().map(|s| (s.good, s.bad)).collect();
        assert_eq!(counts, [(3, 0), (0, 3), (3, 0)]);
        let lost = run("tcp/127.0.0.1/1", "203.0.113.77");
        assert_eq!(lost.status.code(), Some(3));
        assert!(String::from_utf8(lost.stderr).unwrap().contains("203.0.113.77"));
    }
}
