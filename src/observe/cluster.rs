//! The cluster's own objects: a typed reading of `kubectl get pods,services,endpointslices,nodes -A -o json`.

use super::chain_name;
use super::paint::harmless;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// What Kubernetes says there should be.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Cluster {
    pub nodes: Vec<Node>,
    pub pods: Vec<Pod>,
    pub services: Vec<Service>,
    pub slices: Vec<Slice>,
    /// Objects of other kinds and objects that could not be read.
    pub skipped: usize,
}

/// A node as Kubernetes knows it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Node {
    pub name: String,
    /// Whether its condition `Ready` holds.
    pub ready: bool,
    pub internal_ips: Vec<String>,
    pub pod_cidrs: Vec<String>,
}

/// A pod.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Pod {
    pub namespace: String,
    pub name: String,
    pub node: String,
    pub ips: Vec<String>,
    /// Whether it lives in the node's own network.
    pub host_network: bool,
    /// `Running`, `Pending`, `Succeeded`.
    pub phase: String,
    /// Whether its condition `Ready` holds.
    pub ready: bool,
    pub labels: BTreeMap<String, String>,
}

/// A service.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Service {
    pub namespace: String,
    pub name: String,
    /// `ClusterIP`, `NodePort`, `LoadBalancer`, `ExternalName`.
    pub kind: String,
    /// `None` stands for headless.
    pub cluster_ips: Vec<String>,
    pub ports: Vec<ServicePort>,
    pub external_ips: Vec<String>,
    pub load_balancer_ips: Vec<String>,
    pub external_name: String,
    /// `None` or `ClientIP`.
    pub session_affinity: String,
    /// `Cluster` or `Local`; empty where it has no meaning.
    pub external_traffic_policy: String,
    pub internal_traffic_policy: String,
    pub has_selector: bool,
}

/// A port of a service.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ServicePort {
    pub name: String,
    /// `TCP`, `UDP`, `SCTP`.
    pub protocol: String,
    pub port: u16,
    /// A number or the name of a container's port.
    pub target: String,
    /// 0 when there is none.
    pub node_port: u16,
}

/// An endpoint slice.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Slice {
    pub namespace: String,
    pub service: String,
    pub ports: Vec<ServicePort>,
    pub endpoints: Vec<Endpoint>,
}

/// One endpoint of a slice.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Endpoint {
    pub address: String,
    pub ready: bool,
    pub terminating: bool,
    pub node: String,
    /// The pod's name, in the slice's namespace; empty when no pod stands behind it.
    pub pod: String,
}

impl Cluster {
    /// Reads kubectl's JSON. Unknown kinds and fields are ignored.
    ///
    /// # Errors
    /// When the text is not a JSON object with `items`.
    pub fn parse(text: &str) -> Result<Self> {
        let hint = "it should be the output of `kubectl get pods,services,endpointslices,nodes -A -o json`";
        let tried = "read the cluster's objects";
        let list: Value = serde_json::from_str(text).map_err(|e| Error::failed(tried, e).hint(hint))?;
        let Some(items) = list.get("items").and_then(Value::as_array) else {
            return Err(Error::failed(tried, "there is no list of items in it").hint(hint));
        };
        let mut cluster = Self::default();
        for item in items {
            match text_at(item, &["kind"]).as_str() {
                "Node" => cluster.nodes.push(node(item)),
                "Pod" => cluster.pods.push(pod(item)),
                "Service" => cluster.services.push(service(item)),
                "EndpointSlice" => cluster.slices.push(slice(item)),
                _ => cluster.skipped += 1,
            }
        }
        Ok(cluster)
    }

    /// The service of this namespace and name.
    pub fn service(&self, namespace: &str, name: &str) -> Option<&Service> {
        self.services.iter().find(|s| s.namespace == namespace && s.name == name)
    }

    /// The pod of this namespace and name.
    pub fn pod(&self, namespace: &str, name: &str) -> Option<&Pod> {
        self.pods.iter().find(|p| p.namespace == namespace && p.name == name)
    }

    /// The pod with this address that is not the node's own. Finished pods keep theirs after it was given away.
    pub fn pod_at(&self, address: &str) -> Option<&Pod> {
        let live = |p: &&Pod| !matches!(p.phase.as_str(), "Succeeded" | "Failed");
        self.pods.iter().filter(live).find(|p| !p.host_network && p.ips.iter().any(|ip| ip == address))
    }

    /// The node with this address.
    pub fn node_at(&self, address: &str) -> Option<&Node> {
        self.nodes.iter().find(|n| n.internal_ips.iter().any(|ip| ip == address))
    }

    /// The endpoints of a service's port with the number that each listens on.
    pub fn endpoints<'a>(&'a self, service: &'a Service, port: &'a ServicePort) -> Vec<(&'a Endpoint, u16)> {
        let mine = |s: &&Slice| s.namespace == service.namespace && s.service == service.name;
        let mut found: Vec<(&Endpoint, u16)> = Vec::new();
        for slice in self.slices.iter().filter(mine) {
            let listens = slice.ports.iter().find(|p| p.name == port.name && p.protocol == port.protocol);
            let Some(listens) = listens else { continue };
            for endpoint in &slice.endpoints {
                if !found.iter().any(|(e, n)| e.address == endpoint.address && *n == listens.port) {
                    found.push((endpoint, listens.port));
                }
            }
        }
        found
    }
}

impl Service {
    /// Whether it has no address of its own.
    pub fn is_headless(&self) -> bool {
        self.cluster_ips.first().is_some_and(|ip| ip == "None")
    }

    /// kube-proxy's name for a port of it.
    pub fn port_name(&self, port: &ServicePort) -> String {
        chain_name::port_name(&self.namespace, &self.name, &port.name)
    }
}

impl Pod {
    /// namespace/name.
    pub fn full_name(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }
}

fn at<'a>(value: &'a Value, path: &[&str]) -> &'a Value {
    path.iter().fold(value, |value, key| value.get(key).unwrap_or(&Value::Null))
}

fn text_at(value: &Value, path: &[&str]) -> String {
    match at(value, path) {
        Value::String(s) => harmless(s).into_owned(),
        Value::Number(n) => n.to_string(),
        _ => String::new(),
    }
}

fn list_at<'a>(value: &'a Value, path: &[&str]) -> &'a [Value] {
    at(value, path).as_array().map_or(&[], Vec::as_slice)
}

fn texts_at(value: &Value, path: &[&str]) -> Vec<String> {
    list_at(value, path).iter().filter_map(|v| v.as_str().map(|s| harmless(s).into_owned())).collect()
}

/// A list, or where it is absent the single older field.
fn texts_or(value: &Value, list: &[&str], single: &[&str]) -> Vec<String> {
    let many = texts_at(value, list);
    match many.is_empty() {
        true => Some(text_at(value, single)).filter(|s| !s.is_empty()).into_iter().collect(),
        false => many,
    }
}

fn node(item: &Value) -> Node {
    let addresses = list_at(item, &["status", "addresses"]).iter();
    let internal = addresses.filter(|a| text_at(a, &["type"]) == "InternalIP");
    Node {
        name: text_at(item, &["metadata", "name"]),
        ready: is_ready(item),
        internal_ips: internal.map(|a| text_at(a, &["address"])).collect(),
        pod_cidrs: texts_or(item, &["spec", "podCIDRs"], &["spec", "podCIDR"]),
    }
}

fn pod(item: &Value) -> Pod {
    let mut ips: Vec<String> = list_at(item, &["status", "podIPs"])
        .iter()
        .map(|ip| text_at(ip, &["ip"]))
        .filter(|ip| !ip.is_empty())
        .collect();
    if ips.is_empty() {
        ips.extend(Some(text_at(item, &["status", "podIP"])).filter(|ip| !ip.is_empty()));
    }
    Pod {
        namespace: text_at(item, &["metadata", "namespace"]),
        name: text_at(item, &["metadata", "name"]),
        node: text_at(item, &["spec", "nodeName"]),
        ips,
        host_network: at(item, &["spec", "hostNetwork"]).as_bool().unwrap_or(false),
        phase: text_at(item, &["status", "phase"]),
        ready: is_ready(item),
        labels: labels(item),
    }
}

fn is_ready(item: &Value) -> bool {
    let holds = |c: &Value| text_at(c, &["type"]) == "Ready" && text_at(c, &["status"]) == "True";
    list_at(item, &["status", "conditions"]).iter().any(holds)
}

fn labels(item: &Value) -> BTreeMap<String, String> {
    let labels = at(item, &["metadata", "labels"]).as_object().into_iter().flatten();
    labels.map(|(k, v)| (harmless(k).into_owned(), text_at(v, &[]))).collect()
}

fn port(value: &Value) -> ServicePort {
    let number = |key: &str| at(value, &[key]).as_u64().and_then(|n| u16::try_from(n).ok()).unwrap_or(0);
    let protocol = Some(text_at(value, &["protocol"])).filter(|p| !p.is_empty());
    ServicePort {
        name: text_at(value, &["name"]),
        protocol: protocol.unwrap_or_else(|| "TCP".to_string()),
        port: number("port"),
        target: text_at(value, &["targetPort"]),
        node_port: number("nodePort"),
    }
}

fn service(item: &Value) -> Service {
    let spec = at(item, &["spec"]);
    let ingress = list_at(item, &["status", "loadBalancer", "ingress"]).iter();
    Service {
        namespace: text_at(item, &["metadata", "namespace"]),
        name: text_at(item, &["metadata", "name"]),
        kind: text_at(spec, &["type"]),
        cluster_ips: texts_or(spec, &["clusterIPs"], &["clusterIP"]),
        ports: list_at(spec, &["ports"]).iter().map(port).collect(),
        external_ips: texts_at(spec, &["externalIPs"]),
        load_balancer_ips: ingress.map(|i| text_at(i, &["ip"])).filter(|ip| !ip.is_empty()).collect(),
        external_name: text_at(spec, &["externalName"]),
        session_affinity: text_at(spec, &["sessionAffinity"]),
        external_traffic_policy: text_at(spec, &["externalTrafficPolicy"]),
        internal_traffic_policy: text_at(spec, &["internalTrafficPolicy"]),
        has_selector: at(spec, &["selector"]).as_object().is_some_and(|s| !s.is_empty()),
    }
}

fn slice(item: &Value) -> Slice {
    let mut endpoints = Vec::new();
    for value in list_at(item, &["endpoints"]) {
        let is_pod = text_at(value, &["targetRef", "kind"]) == "Pod";
        let endpoint = Endpoint {
            address: String::new(),
            // An absent condition means ready.
            ready: at(value, &["conditions", "ready"]).as_bool().unwrap_or(true),
            terminating: at(value, &["conditions", "terminating"]).as_bool().unwrap_or(false),
            node: text_at(value, &["nodeName"]),
            pod: if is_pod { text_at(value, &["targetRef", "name"]) } else { String::new() },
        };
        let addresses = texts_at(value, &["addresses"]);
        endpoints.extend(addresses.into_iter().map(|address| Endpoint { address, ..endpoint.clone() }));
    }
    Slice {
        namespace: text_at(item, &["metadata", "namespace"]),
        service: text_at(item, &["metadata", "labels", "kubernetes.io/service-name"]),
        ports: list_at(item, &["ports"]).iter().map(port).collect(),
        endpoints,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::fixture;
    use proptest::prelude::*;

    #[test]
    fn the_fixture_is_read() {
        let cluster = fixture::cluster();
        assert_eq!((cluster.nodes.len(), cluster.pods.len(), cluster.services.len()), (3, 15, 3));
        let webpod = cluster.service("default", "webpod").unwrap();
        let found = cluster.endpoints(webpod, &webpod.ports[0]);
        assert_eq!(
            found.iter().map(|(e, n)| format!("{}:{n}", e.address)).collect::<Vec<_>>(),
            ["10.244.2.2:80", "10.244.1.2:80"]
        );
        assert_eq!(cluster.pod_at("10.244.1.2").unwrap().node, "flannel-w1");
        assert_eq!(cluster.pod_at("192.168.20.101"), None);
        assert_eq!(cluster.node_at("192.168.20.101").unwrap().pod_cidrs, ["10.244.1.0/24"]);
        let dns = cluster.service("kube-system", "kube-dns").unwrap();
        assert_eq!(dns.ports.iter().map(|p| dns.port_name(p)).collect::<Vec<_>>()[2], "kube-system/kube-dns:metrics");
        assert_eq!(cluster.endpoints(dns, &dns.ports[2])[0].1, 9153);
    }

    #[test]
    fn older_fields_and_odd_objects() {
        let text = r#"{"items": [3, {"kind": "Secret"},
            {"kind": "Service", "spec": {"clusterIP": "None", "ports": [{"port": 99999}]}},
            {"kind": "Pod", "status": {"podIP": "10.0.0.1"}}, {"kind": "Node", "spec": {"podCIDR": "10.0.0.0/24"}}]}"#;
        let cluster = Cluster::parse(text).unwrap();
        assert_eq!(cluster.skipped, 2);
        assert!(cluster.services[0].is_headless());
        assert_eq!((cluster.services[0].ports[0].port, cluster.services[0].ports[0].protocol.as_str()), (0, "TCP"));
        assert_eq!(cluster.pods[0].ips, ["10.0.0.1"]);
        assert!(Cluster::parse("[]").unwrap_err().to_string().contains("kubectl get pods"));
        assert!(Cluster::parse("error: no connection").is_err());
    }

    proptest! {
        #[test]
        fn any_object_is_read(kind in "(Node|Pod|Service|EndpointSlice)", key in "(metadata|spec|status|endpoints|ports)", value in "(1|null|\"x\"|\\[1\\]|\\[\\{\\}\\]|\\{\"ports\":\\[7\\]\\}|\\{\"podIPs\":[3]\\})") {
            let text = format!(r#"{{"items":[{{"kind":"{kind}","{key}":{value}}}]}}"#);
            prop_assert!(Cluster::parse(&text).is_ok());
        }
    }
}
