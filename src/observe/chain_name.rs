//! The names kube-proxy gives its chains, computed again: a name that comes out the same is proved.
//!
//! Source: kubernetes/pkg/proxy/iptables/proxier.go, `portProtoHash` and `servicePortEndpointChainName`. A name is a
//! prefix and the first 16 letters of base32(sha256(input)); the input is namespace/name, `:port` if the port has a
//! name, and the protocol in small letters; for an endpoint its address:port follows.

use data_encoding::BASE32;
use sha2::{Digest, Sha256};

/// What a chain of kube-proxy is for, by its prefix.
pub const PREFIXES: [(&str, &str); 5] = [
    ("KUBE-SVC-", "spreads connections over all endpoints"),
    ("KUBE-SVL-", "spreads connections over the endpoints of this node (traffic policy Local)"),
    ("KUBE-EXT-", "takes what comes from outside: node port, external address or load balancer"),
    ("KUBE-FW-", "lets in only the load balancer's source ranges"),
    ("KUBE-SEP-", "is one endpoint: sets the destination to the pod"),
];

/// A service's port as kube-proxy names it: `default/webpod`, `kube-system/kube-dns:dns`.
pub fn port_name(namespace: &str, service: &str, port: &str) -> String {
    match port {
        "" => format!("{namespace}/{service}"),
        port => format!("{namespace}/{service}:{port}"),
    }
}

/// What is hashed for the chain of a service's port.
pub fn service_input(port_name: &str, protocol: &str) -> String {
    format!("{port_name}{}", protocol.to_ascii_lowercase())
}

/// What is hashed for the chain of an endpoint, `endpoint` as address:port ([address]:port for IPv6).
pub fn endpoint_input(port_name: &str, protocol: &str, endpoint: &str) -> String {
    format!("{}{endpoint}", service_input(port_name, protocol))
}

/// The 16 letters.
pub fn hash(input: &str) -> String {
    let mut encoded = BASE32.encode(&Sha256::digest(input.as_bytes()));
    encoded.truncate(16);
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_lesson() {
        let svc = |name: &str, protocol: &str| hash(&service_input(name, protocol));
        assert_eq!(svc("default/kubernetes:https", "TCP"), "NPX46M4PTMTKRN6Y");
        assert_eq!(svc("default/webpod", "tcp"), "CNZCPOCNCNOROALA");
        assert_eq!(svc("kube-system/kube-dns:dns", "UDP"), "TCOU7JCQXEZGVUNU");
        assert_eq!(svc(&port_name("kube-system", "kube-dns", "metrics"), "tcp"), "JD5MR3NA4I4DYORP");
    }

    #[test]
    fn endpoints_of_the_lesson() {
        let sep = |name: &str, protocol: &str, to: &str| hash(&endpoint_input(name, protocol, to));
        assert_eq!(sep(&port_name("default", "webpod", ""), "tcp", "10.244.1.5:80"), "4XUJ5ZCGHF23EWGS");
        assert_eq!(sep("default/webpod", "tcp", "10.244.2.10:80"), "OLWBTI6CZXA3JRRX");
        assert_eq!(sep("kube-system/kube-dns:dns", "udp", "10.244.2.2:53"), "TCIZBYBD3WWXNWF5");
    }
}
