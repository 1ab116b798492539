//! JSON of `ip -j` and `bridge -j`, read tolerantly: a field that is absent or of another type counts as absent.

use super::observation::{Address, FdbEntry, Link, Neighbour, Nexthop, PolicyRule, Route, Vxlan};
use super::paint::harmless;
use serde_json::Value;

/// The elements of a list, each read by `read`. The second part holds elements that could not be read.
///
/// # Errors
/// The parser's message, when the text is not a JSON list. Empty text is an empty list: old releases print nothing.
pub(super) fn list<T>(text: &str, read: impl Fn(&Value) -> Vec<T>) -> Result<(Vec<T>, Vec<String>), String> {
    if text.trim().is_empty() {
        return Ok((Vec::new(), Vec::new()));
    }
    let values: Vec<Value> = serde_json::from_str(text).map_err(|e| e.to_string())?;
    let (mut items, mut unknown) = (Vec::new(), Vec::new());
    for value in &values {
        match value.as_object() {
            // iproute2 prints {} in place of entries that its filter left out.
            Some(object) if object.is_empty() => {}
            Some(_) => items.extend(read(value)),
            None => unknown.push(value.to_string()),
        }
    }
    Ok((items, unknown))
}

fn text(value: &Value, key: &str) -> Option<String> {
    match value.get(key)? {
        Value::String(s) => Some(harmless(s).into_owned()),
        Value::Number(n) => Some(n.to_string()),
        _ => None,
    }
}

fn number<N: TryFrom<u64>>(value: &Value, key: &str) -> Option<N> {
    N::try_from(value.get(key)?.as_u64()?).ok()
}

fn truth(value: &Value, key: &str) -> bool {
    value.get(key).and_then(Value::as_bool).unwrap_or(false)
}

fn texts(value: &Value, key: &str) -> Vec<String> {
    let items = value.get(key).and_then(Value::as_array);
    items.into_iter().flatten().filter_map(|v| v.as_str().map(|s| harmless(s).into_owned())).collect()
}

/// Reads one element of `ip -j -d link`.
pub(super) fn link(value: &Value) -> Vec<Link> {
    let info = value.get("linkinfo").unwrap_or(&Value::Null);
    let kind = text(info, "info_kind");
    let vxlan = (kind.as_deref() == Some("vxlan")).then(|| vxlan(info.get("info_data").unwrap_or(&Value::Null)));
    vec![Link {
        index: number(value, "ifindex").unwrap_or(0),
        name: text(value, "ifname").unwrap_or_default(),
        kind,
        flags: texts(value, "flags"),
        state: text(value, "operstate").unwrap_or_default(),
        mtu: number(value, "mtu").unwrap_or(0),
        mac: text(value, "address"),
        master: text(value, "master"),
        peer_index: number(value, "link_index"),
        vxlan,
        altnames: texts(value, "altnames"),
    }]
}

fn vxlan(data: &Value) -> Vxlan {
    Vxlan {
        id: number(data, "id").unwrap_or(0),
        port: number(data, "port").unwrap_or(0),
        dev: text(data, "link"),
        local: text(data, "local").or_else(|| text(data, "local6")),
        learning: truth(data, "learning"),
    }
}

/// Reads one element of `ip -j addr`: a link with its addresses.
pub(super) fn addresses(value: &Value) -> Vec<Address> {
    let dev = text(value, "ifname").unwrap_or_default();
    let infos = value.get("addr_info").and_then(Value::as_array);
    let read = |info: &Value| {
        Some(Address {
            dev: dev.clone(),
            address: text(info, "local")?,
            prefix: number(info, "prefixlen").unwrap_or(0),
            scope: text(info, "scope").unwrap_or_default(),
            dynamic: truth(info, "dynamic"),
            lifetime: number(info, "valid_life_time").filter(|&s| s != u32::MAX),
        })
    };
    infos.into_iter().flatten().filter_map(read).collect()
}

/// Reads one element of `ip -j rule`.
pub(super) fn policy(value: &Value) -> Vec<PolicyRule> {
    let mut selectors = Vec::new();
    for (key, field) in [("src", "from"), ("dst", "to"), ("iif", "iif"), ("oif", "oif"), ("fwmark", "fwmark")] {
        let length = |n: u64| format!("/{n}");
        let prefix = value.get(format!("{key}len")).and_then(Value::as_u64).map(length).unwrap_or_default();
        match text(value, key) {
            Some(what) if what != "all" => selectors.push(format!("{field} {what}{prefix}")),
            _ => {}
        }
    }
    if value.get("not").is_some() {
        selectors.insert(0, "not".to_string());
    }
    let preference = number(value, "priority").unwrap_or(0);
    vec![PolicyRule { preference, table: text(value, "table").unwrap_or_default(), selectors }]
}

/// Reads one element of `ip -j route show table all`. Old releases say `dst: default` for both families, so the
/// caller says which it asked for; an address with a colon is IPv6 whatever was asked.
pub(super) fn route(value: &Value, ipv6: bool) -> Vec<Route> {
    let Some(destination) = text(value, "dst") else { return Vec::new() };
    let via = text(value, "gateway").or_else(|| value.get("via").and_then(|v| text(v, "host")));
    let hops = value.get("nexthops").and_then(Value::as_array);
    let nexthop = |hop: &Value| Nexthop {
        via: text(hop, "gateway"),
        dev: text(hop, "dev"),
        weight: number(hop, "weight").unwrap_or(1),
    };
    let has_colon = |s: &Option<String>| s.as_deref().is_some_and(|s| s.contains(':'));
    vec![Route {
        ipv6: ipv6 || destination.contains(':') || (destination == "default" && has_colon(&via)),
        destination,
        table: text(value, "table").unwrap_or_else(|| "main".to_string()),
        kind: text(value, "type").unwrap_or_else(|| "unicast".to_string()),
        via,
        dev: text(value, "dev"),
        protocol: text(value, "protocol"),
        scope: text(value, "scope"),
        source: text(value, "prefsrc"),
        metric: number(value, "metric"),
        onlink: texts(value, "flags").iter().any(|f| f == "onlink"),
        nexthops: hops.into_iter().flatten().map(nexthop).collect(),
    }]
}

/// Reads one element of `ip -j neigh`.
pub(super) fn neighbour(value: &Value) -> Vec<Neighbour> {
    vec![Neighbour {
        dev: text(value, "dev").unwrap_or_default(),
        address: text(value, "dst").unwrap_or_default(),
        mac: text(value, "lladdr"),
        states: texts(value, "state"),
    }]
}

/// Reads one element of `bridge -j fdb`.
pub(super) fn fdb(value: &Value) -> Vec<FdbEntry> {
    vec![FdbEntry {
        dev: text(value, "ifname").unwrap_or_default(),
        mac: text(value, "mac").unwrap_or_default(),
        destination: text(value, "dst"),
        vlan: number(value, "vlan"),
        master: text(value, "master"),
        state: text(value, "state").unwrap_or_default(),
        flags: texts(value, "flags"),
    }]
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn vxlan_of_the_fixture() {
        let text = include_str!("../../tests/fixtures/flannel/flannel-w1/link.json");
        let (links, unknown) = list(text, link).unwrap();
        assert!(unknown.is_empty());
        let flannel = links.iter().find(|l| l.name == "flannel.1").unwrap();
        let vxlan = flannel.vxlan.as_ref().unwrap();
        assert_eq!((vxlan.id, vxlan.port, vxlan.dev.as_deref()), (1, 8472, Some("eth1")));
        assert_eq!((flannel.mtu, vxlan.local.as_deref(), vxlan.learning), (1450, Some("192.168.20.101"), false));
        assert_eq!(links.last().unwrap().master.as_deref(), Some("cni0"));
    }

    #[test]
    fn odd_types_count_as_absent() {
        let value = json!({"ifname": 7, "mtu": "big", "flags": {"a": 1}, "linkinfo": {"info_kind": "vxlan"}});
        let read = link(&value).remove(0);
        assert_eq!((read.name.as_str(), read.mtu, read.flags.len()), ("7", 0, 0));
        assert_eq!(read.vxlan, Some(Vxlan::default()));
        assert!(route(&json!({"gateway": "10.0.0.1"}), false).is_empty());
        assert!(list("{}", link).is_err());
        assert_eq!(list("[3, {}]", link).unwrap(), (vec![], vec!["3".to_string()]));
    }

    #[test]
    fn several_ways_and_families() {
        let read = route(&json!({"dst": "default", "nexthops": [{"gateway": "a", "dev": "b", "weight": 2}]}), false);
        assert_eq!(read[0].nexthops[0].weight, 2);
        assert!(!read[0].ipv6);
        assert!(route(&json!({"dst": "default", "gateway": "fe80::2"}), false)[0].ipv6);
        let via = route(&json!({"dst": "10.1.0.0/16", "via": {"family": "inet6", "host": "fe80::1"}}), false);
        assert_eq!(via[0].via.as_deref(), Some("fe80::1"));
    }

    #[test]
    fn policy_rules_keep_their_selectors() {
        let rule = policy(&json!({"priority": 9, "src": "10.0.0.0", "srclen": 8, "fwmark": "0x200", "table": "5"}));
        assert_eq!(rule[0].selectors, ["from 10.0.0.0/8", "fwmark 0x200"]);
        assert!(policy(&json!({"priority": 0, "src": "all", "table": "local"}))[0].selectors.is_empty());
    }
}
