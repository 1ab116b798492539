//! Objects of the cluster by the names that users give them: found, or refused with what there is.

use super::cluster::{Cluster, Pod, Service};
use crate::error::{Error, Result};
use crate::yaml::closest;

/// So many names are told at most where a name is none of them.
const TOLD: usize = 12;

/// Splits `namespace/name`; without a namespace it is `default`.
fn full_name(text: &str) -> (&str, &str) {
    text.split_once('/').unwrap_or(("default", text))
}

/// The service that the user named; `tried` is a verb, as "explain".
///
/// # Errors
/// There is none of this name.
pub(super) fn service<'a>(tried: &str, text: &str, cluster: &'a Cluster) -> Result<&'a Service> {
    let (namespace, name) = full_name(text);
    cluster.service(namespace, name).ok_or_else(|| {
        let all: Vec<String> = cluster.services.iter().map(|s| format!("{}/{}", s.namespace, s.name)).collect();
        let error = Error::input(format!("{tried} service {namespace}/{name}"), "there is no such service");
        error.hint(instead(namespace, name, &all))
    })
}

/// The pod that the user named, which has an address.
///
/// # Errors
/// There is none of this name, or it has no address yet.
pub(super) fn pod<'a>(tried: &str, text: &str, cluster: &'a Cluster) -> Result<&'a Pod> {
    let (namespace, name) = full_name(text);
    let what = format!("{tried} pod {namespace}/{name}");
    let Some(pod) = cluster.pod(namespace, name) else {
        let all: Vec<String> = cluster.pods.iter().map(Pod::full_name).collect();
        return Err(Error::input(what, "there is no such pod").hint(instead(namespace, name, &all)));
    };
    if pod.ips.is_empty() || pod.node.is_empty() {
        let why = format!("it has no address yet: its phase is {}", pod.phase);
        return Err(Error::failed(what, why).hint(format!("lab kubectl describe pod -n {namespace} {name}")));
    }
    Ok(pod)
}

/// What may have been meant: the same name elsewhere, names that begin so, one that is nearly so, else what there is.
fn instead(namespace: &str, name: &str, all: &[String]) -> String {
    let own = |full: &&String| full.split_once('/').is_some_and(|(n, _)| n == namespace);
    let short = |full: &str| full.split_once('/').map_or(full, |(_, name)| name).to_owned();
    let begins: Vec<&str> =
        all.iter().filter(|f| short(f) == name || (own(f) && short(f).starts_with(name))).map(String::as_str).collect();
    if !begins.is_empty() {
        return format!("there is {}", told(&begins));
    }
    let full = format!("{namespace}/{name}");
    if let Some(near) = closest(&full, all.iter().map(String::as_str)) {
        return format!("did you mean `{near}`?");
    }
    let mut known: Vec<&str> = all.iter().filter(own).map(String::as_str).collect();
    if known.is_empty() {
        known = all.iter().map(String::as_str).collect();
    }
    if known.is_empty() { "the cluster has none".to_owned() } else { format!("there are {}", told(&known)) }
}

fn told(names: &[&str]) -> String {
    match names.get(TOLD..) {
        Some(rest) if !rest.is_empty() => format!("{} and {} more", names[..TOLD].join(", "), rest.len()),
        _ => names.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::fixture;

    #[test]
    fn a_wrong_name_is_answered_with_what_may_be_meant() {
        let cluster = fixture::cluster();
        let hint = |name: &str| service("explain", name, &cluster).unwrap_err().hint.unwrap();
        assert_eq!(hint("webpood"), "did you mean `default/webpod`?");
        assert_eq!(hint("kube-dns"), "there is kube-system/kube-dns");
        assert_eq!(hint("nginx"), "there are default/kubernetes, default/webpod");
        assert_eq!(hint("shop/nginx"), "there are default/kubernetes, default/webpod, kube-system/kube-dns");
        let hint = |name: &str| pod("explain", name, &cluster).unwrap_err().hint.unwrap();
        assert!(hint("webpod").starts_with("there is default/webpod-55ff548fc7-"), "{}", hint("webpod"));
        assert_eq!(hint("curl-pdo"), "did you mean `default/curl-pod`?");
        assert!(hint("shop/a").ends_with(" and 3 more"), "{}", hint("shop/a"));
        assert_eq!(service("explain", "x", &Cluster::default()).unwrap_err().hint.unwrap(), "the cluster has none");
    }

    #[test]
    fn a_pod_without_an_address_is_no_use() {
        let mut cluster = fixture::cluster();
        cluster.pods.iter_mut().for_each(|p| p.ips.clear());
        let error = pod("forward to", "curl-pod", &cluster).unwrap_err();
        assert!(error.why.contains("it has no address yet: its phase is Running"), "{error}");
        assert_eq!(error.exit_code(), 1);
    }
}
