//! Where connections go, by a name of the cluster: `service/default/webpod:80`, `pod/curl-pod:8080`.

use super::cluster::{Cluster, Service, ServicePort};
use super::named;
use crate::error::{Error, Result};
use std::fmt;

/// A service's or a pod's port, as the user names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    kind: Kind,
    /// `namespace/name`, or `name` in the namespace `default`.
    name: String,
    /// A number, or a service's name for one; without it the only one that the service has.
    port: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Service,
    Pod,
}

/// Where it is at this moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub address: String,
    pub port: u16,
}

impl Target {
    /// Reads `service/[NAMESPACE/]NAME[:PORT]` and `pod/[NAMESPACE/]NAME:PORT`; `svc/` and `po/` are short for these.
    ///
    /// # Errors
    /// It is neither.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = |why: &str| {
            Error::input(format!("forward to {text}"), why)
                .hint("service/webpod, service/default/webpod:80 or pod/curl-pod:8080")
        };
        let (place, port) = text.split_once(':').map_or((text, None), |(place, port)| (place, Some(port.to_owned())));
        let (kind, name) = place.split_once('/').ok_or_else(|| wrong("it is no service and no pod"))?;
        let kind = match kind {
            "service" | "services" | "svc" => Kind::Service,
            "pod" | "pods" | "po" => Kind::Pod,
            other => return Err(wrong(&format!("`{other}` is no kind of thing that has an address for connections"))),
        };
        let words: Vec<&str> = name.split('/').collect();
        if words.len() > 2 || words.iter().any(|w| w.is_empty() || w.contains(char::is_whitespace)) {
            return Err(wrong("its name is written NAME or NAMESPACE/NAME"));
        }
        let number = port.as_deref().is_some_and(|p| p.parse::<u16>().is_ok_and(|n| n != 0));
        match (kind, port.as_deref()) {
            (Kind::Pod, _) if !number => Err(wrong("which port of the pod? A number follows its name")),
            (_, Some("")) => Err(wrong("a port follows the colon")),
            _ => Ok(Self { kind, name: name.to_owned(), port }),
        }
    }

    /// Finds it among the cluster's objects.
    ///
    /// # Errors
    /// There is no such service, pod or port, or it has no address.
    pub fn find(&self, cluster: &Cluster) -> Result<Found> {
        match self.kind {
            Kind::Service => self.of_service(named::service("forward to", &self.name, cluster)?),
            Kind::Pod => {
                let pod = named::pod("forward to", &self.name, cluster)?;
                let port = self.port.as_deref().and_then(|p| p.parse().ok()).unwrap_or_default();
                Ok(Found { address: pod.ips[0].clone(), port })
            }
        }
    }

    fn of_service(&self, service: &Service) -> Result<Found> {
        let what = format!("forward to service {}/{}", service.namespace, service.name);
        let Some(address) = service.cluster_ips.iter().find(|ip| ip.as_str() != "None") else {
            let hint = "a pod behind it has one: pod/NAMESPACE/NAME:PORT";
            return Err(Error::input(what, "it has no address of its own").hint(hint));
        };
        let tcp: Vec<&ServicePort> = service.ports.iter().filter(|p| p.protocol == "TCP").collect();
        let meant = |p: &&&ServicePort| self.port.as_ref().is_none_or(|w| p.port.to_string() == *w || p.name == *w);
        let mut found = tcp.iter().filter(meant);
        match (found.next(), found.next()) {
            (Some(port), None) => Ok(Found { address: address.clone(), port: port.port }),
            (one, _) => {
                let why = match (&self.port, one) {
                    (Some(port), None) => format!("it has no port {port} for TCP, which is what a forward carries"),
                    (None, None) => "it has no port for TCP, which is what a forward carries".to_owned(),
                    _ => "it has several ports".to_owned(),
                };
                let all: Vec<String> = service.ports.iter().map(shown).collect();
                Err(Error::input(what, why).hint(format!("its ports: {}", all.join(", "))))
            }
        }
    }
}

/// "dns-tcp (53/TCP)", or "80/TCP" of a port without a name.
fn shown(port: &ServicePort) -> String {
    let number = format!("{}/{}", port.port, port.protocol);
    if port.name.is_empty() { number } else { format!("{} ({number})", port.name) }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.kind == Kind::Service { "service" } else { "pod" };
        write!(f, "{kind}/{}", self.name)?;
        self.port.as_ref().map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::fixture;

    fn found(text: &str) -> Result<String> {
        let found = Target::parse(text)?.find(&fixture::cluster())?;
        Ok(format!("{}:{}", found.address, found.port))
    }

    #[test]
    fn services_and_pods_are_found_by_name() {
        let cluster = fixture::cluster();
        let webpod = cluster.service("default", "webpod").unwrap().cluster_ips[0].clone();
        for (text, expected) in [
            ("service/default/webpod:80", format!("{webpod}:80")),
            ("svc/webpod", format!("{webpod}:80")),
            ("services/kubernetes:https", "10.96.0.1:443".to_owned()),
            ("service/kube-system/kube-dns:dns-tcp", "10.96.0.10:53".to_owned()),
            ("service/kube-system/kube-dns:53", "10.96.0.10:53".to_owned()),
            ("pod/curl-pod:8080", "10.244.0.2:8080".to_owned()),
            ("po/default/curl-pod:80", "10.244.0.2:80".to_owned()),
        ] {
            assert_eq!(found(text).unwrap(), expected, "{text}");
        }
        assert_eq!(Target::parse("svc/webpod:80").unwrap().to_string(), "service/webpod:80");
    }

    #[test]
    fn what_is_wrong_is_said_with_what_there_is() {
        for (text, why, hint) in [
            ("service/webpood:80", "no such service", "did you mean `default/webpod`?"),
            ("pod/webpod:80", "no such pod", "there is default/webpod-55ff548fc7-"),
            ("service/webpod:81", "it has no port 81 for TCP", "its ports: 80/TCP"),
            ("service/kube-system/kube-dns", "it has several ports", "dns (53/UDP), dns-tcp (53/TCP)"),
            ("service/kube-system/kube-dns:dns", "no port dns for TCP", "dns (53/UDP)"),
            ("deployment/webpod:80", "`deployment` is no kind", "service/webpod"),
            ("service/a/b/c:80", "NAMESPACE/NAME", "service/webpod"),
            ("service/:80", "NAMESPACE/NAME", "service/webpod"),
            ("service/webpod:", "a port follows", "service/webpod"),
            ("pod/curl-pod", "which port of the pod?", "pod/curl-pod:8080"),
            ("pod/curl-pod:http", "which port of the pod?", "pod/curl-pod:8080"),
            ("webpod:80", "no service and no pod", "service/webpod"),
        ] {
            let error = found(text).unwrap_err();
            assert!(error.why.contains(why) && error.hint.as_ref().unwrap().contains(hint), "{text}: {error}");
            assert_eq!(error.exit_code(), 2, "{text}");
        }
    }

    #[test]
    fn a_headless_service_has_no_address() {
        let mut cluster = fixture::cluster();
        cluster.services.iter_mut().for_each(|s| s.cluster_ips = vec!["None".into()]);
        let error = Target::parse("service/webpod").unwrap().find(&cluster).unwrap_err();
        assert!(error.why.contains("no address of its own"), "{error}");
        cluster.services.iter_mut().for_each(|s| s.cluster_ips.clear());
        assert!(Target::parse("service/webpod").unwrap().find(&cluster).is_err());
    }
}
