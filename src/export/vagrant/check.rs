//! A check of the lab as a strict script, on top of the functions of `checks.sh`.

use super::step;
use crate::lab::check::{Check, Expect, PodsExpect, RouteExpect};
use crate::template::quote;
use std::fmt::Write;

/// A check as it is held on one node; the text of a script is literal.
pub struct PlacedCheck {
    pub check: Check,
    pub node: String,
}

/// The name of a check's file.
pub(super) fn file(number: usize, node: &str) -> String {
    format!("{number:03}.{node}")
}

/// The script. `access` is the cluster's access on the node, where it has one.
pub(super) fn script(placed: &PlacedCheck, access: Option<&str>) -> String {
    let PlacedCheck { check, node } = placed;
    let mut out = format!("# {}, on {node}: {}\n", check.name.replace('\n', " "), check.expect.word());
    let option = |text: &Option<String>| quote(text.as_deref().unwrap_or_default());
    match &check.expect {
        Expect::Link { name, kind, mtu } => {
            let mtu = mtu.map(|m| m.to_string());
            let _ = writeln!(out, "link {} {} {}", quote(name), option(kind), option(&mtu));
        }
        Expect::Route(route) => {
            let count = route.count.map(|c| c.to_string());
            let _ = writeln!(out, "route {} {}", option(&count), words(route));
        }
        Expect::Chain { table, name } => {
            let _ = writeln!(out, "chain {} {}", quote(table), quote(name));
        }
        Expect::Pods(pods) => {
            out += &cluster(access);
            let PodsExpect { namespace, labels, ready, nodes, node } = pods;
            let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let labels = quote(&labels.join(","));
            let _ = writeln!(out, "pods {} {labels} {ready} {nodes} {}", quote(namespace), option(node));
        }
        Expect::Service { name, requests } => {
            out += &cluster(access);
            let (namespace, name) = name.split_once('/').unwrap_or(("default", name));
            let _ = writeln!(out, "service {} {} {requests}", quote(namespace), quote(name));
        }
        Expect::Run { script, timeout } => step::here(&mut out, &format!("script {timeout}"), script),
    }
    out
}

fn cluster(access: Option<&str>) -> String {
    access.map_or(String::new(), |path| format!("export KUBECONFIG={}\n", quote(path)))
}

/// A route in the words of `ip route show`. What lies in a network and what is one destination go by one word each.
fn words(route: &RouteExpect) -> String {
    let within = route.within.map(|n| n.to_string());
    let range = match (&route.to, &within) {
        (Some(to), _) => Some(("exact", to)),
        (None, Some(within)) => Some(("root", within)),
        (None, None) => None,
    };
    let others = [("via", &route.via), ("dev", &route.dev)];
    let all = range.into_iter().chain(others.iter().filter_map(|(word, value)| value.as_ref().map(|v| (*word, v))));
    all.map(|(word, value)| format!("{word} {}", quote(value))).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::model::Subnet;

    fn shown(expect: Expect) -> String {
        let check = Check { name: "c".into(), on: vec!["n".into()], expect, hint: None };
        let text = script(&PlacedCheck { check, node: "n".into() }, Some("/etc/conf"));
        text.split_once('\n').unwrap().1.to_owned()
    }

    #[test]
    fn each_kind_has_its_function() {
        let route = RouteExpect {
            within: Subnet::parse("10.244.0.0/16").ok(),
            dev: Some("eth1".into()),
            count: Some(2),
            ..RouteExpect::default()
        };
        assert_eq!(shown(Expect::Route(route)), "route '2' root '10.244.0.0/16' dev 'eth1'\n");
        let to = RouteExpect { to: Some("default".into()), via: Some("10.0.2.2".into()), ..RouteExpect::default() };
        assert_eq!(shown(Expect::Route(to)), "route '' exact 'default' via '10.0.2.2'\n");
        let link = Expect::Link { name: "it's".into(), kind: None, mtu: Some(1450) };
        assert_eq!(shown(link), "link 'it'\\''s' '' '1450'\n");
        let pods = PodsExpect {
            namespace: "default".into(),
            labels: [("app".to_owned(), "webpod".to_owned())].into(),
            ready: 2,
            nodes: 1,
            node: Some("n".into()),
        };
        assert_eq!(shown(Expect::Pods(pods)), "export KUBECONFIG='/etc/conf'\npods 'default' 'app=webpod' 2 1 'n'\n");
        let run = Expect::Run { script: "true\n".into(), timeout: 5 };
        assert_eq!(shown(run), "script 5 <<'LAB_TEXT'\ntrue\nLAB_TEXT\n");
    }
}
