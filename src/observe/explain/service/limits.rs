//! What is special about a service or a node, said before anything is explained wrongly.

use super::super::super::cluster::Service;
use super::super::super::observation::Observation;

/// What a reader should know of the service.
pub(super) fn of_service(service: &Service) -> Vec<String> {
    let mut notes = Vec::new();
    let mut note = |text: String| notes.push(text);
    if service.kind == "ExternalName" {
        note(format!(
            "ExternalName: DNS answers with an alias to {}; kube-proxy writes no rules",
            service.external_name
        ));
    }
    if service.is_headless() {
        note("headless: it has no address; DNS answers with the pods' own, and kube-proxy writes no rules".to_string());
    }
    if service.session_affinity == "ClientIP" {
        note(
            "sessionAffinity ClientIP: the shares hold for a client's first connection; later ones go to the same \
             endpoint while the `recent` rules remember the client"
                .to_string(),
        );
    }
    if service.external_traffic_policy == "Local" {
        note(
            "externalTrafficPolicy Local: what comes from outside goes only to endpoints on the node it came to and \
             keeps its source; a node without one drops it"
                .to_string(),
        );
    }
    if service.internal_traffic_policy == "Local" {
        note(
            "internalTrafficPolicy Local: connections to its address go only to endpoints on the same node".to_string(),
        );
    }
    if !service.has_selector && service.kind != "ExternalName" {
        note("it has no selector: its endpoints were written by someone else than the endpoint controller".to_string());
    }
    notes
}

/// Why kube-proxy's rules on a node cannot be explained, if they cannot.
pub(in super::super) fn of_node(seen: &Observation) -> Option<String> {
    let node = &seen.node;
    if !seen.has("rules") {
        return Some(format!("{node}: its iptables rules were not captured; nothing is explained there"));
    }
    let written = seen.rules.chains().any(|(table, chain)| table == "nat" && chain.name == "KUBE-SERVICES");
    if seen.nft_tables.iter().any(|t| t.ends_with(" kube-proxy")) {
        return Some(format!(
            "{node}: kube-proxy runs in nftables mode; its verdict maps are not explained (`nft list table ip kube-proxy` \
             shows them)"
        ));
    }
    if !seen.ipvs_services.is_empty() || seen.link("kube-ipvs0").is_some() {
        return Some(format!(
            "{node}: kube-proxy runs in ipvs mode; its virtual servers are not explained (`ipvsadm -Ln` shows them)"
        ));
    }
    (!written).then(|| {
        format!(
            "{node}: there is no chain KUBE-SERVICES: kube-proxy has not written its rules yet, or something else \
             (Cilium) stands in for it"
        )
    })
}
