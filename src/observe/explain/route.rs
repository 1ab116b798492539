//! Which route a packet takes: tables in the order of the policy rules, in each the longest prefix.

use super::super::fact::route_line;
use super::super::observation::{Observation, Route};
use super::super::owner::{self, Owner};
use super::prefix::{self, Prefix};
use crate::error::Result;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// The way to a decision, table by table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteExplanation {
    pub node: String,
    pub address: String,
    /// The tables that were asked, in order, up to the one that answered.
    pub tables: Vec<TableAnswer>,
    pub chosen: Option<Route>,
    /// The source address a packet of the node itself would have.
    pub source: Option<String>,
    pub owner: Option<Owner>,
    pub notes: Vec<String>,
}

/// What one table has for the address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableAnswer {
    pub table: String,
    /// All routes that cover the address, the best first.
    pub candidates: Vec<Route>,
}

/// Explains which route of the node a packet to `address` takes.
///
/// # Errors
/// When `address` is none.
pub fn route(seen: &Observation, address: &str) -> Result<RouteExplanation> {
    Ok(lookup(seen, prefix::address(address)?))
}

/// The same for an address already read.
pub(super) fn lookup(seen: &Observation, address: IpAddr) -> RouteExplanation {
    let (order, mut notes) = order(seen);
    let section = if address.is_ipv6() { "routes6" } else { "routes" };
    if !seen.has(section) {
        notes.push(format!("the routes of {} were not captured", seen.node));
    }
    let (mut tables, mut chosen) = (Vec::new(), None);
    for table in order {
        let candidates = candidates(seen, &table, address);
        chosen = candidates.first().filter(|r| r.kind != "throw").cloned();
        tables.push(TableAnswer { table, candidates });
        if chosen.is_some() {
            break;
        }
    }
    let source = chosen.as_ref().and_then(|r| source(seen, r, address));
    let owner = chosen.as_ref().map(|r| owner::of_route(r, seen));
    RouteExplanation { node: seen.node.clone(), address: address.to_string(), tables, chosen, source, owner, notes }
}

/// The tables in the order they are asked. Rules with selectors hold for some packets only and are not evaluated.
fn order(seen: &Observation) -> (Vec<String>, Vec<String>) {
    if seen.policy.is_empty() {
        return (["local", "main", "default"].map(String::from).to_vec(), Vec::new());
    }
    let mut rules: Vec<_> = seen.policy.iter().collect();
    rules.sort_by_key(|r| r.preference);
    let (all, some): (Vec<_>, Vec<_>) = rules.into_iter().partition(|r| r.selectors.is_empty());
    let note = |r: &&super::super::observation::PolicyRule| {
        format!("policy rule {} ({}) asks table {} first; not evaluated", r.preference, r.selectors.join(" "), r.table)
    };
    (all.iter().map(|r| r.table.clone()).collect(), some.iter().map(note).collect())
}

fn candidates(seen: &Observation, table: &str, address: IpAddr) -> Vec<Route> {
    let length = |r: &Route| match r.destination.as_str() {
        "default" => (r.ipv6 == address.is_ipv6()).then_some(0),
        text => Prefix::parse(text).filter(|p| p.contains(address)).map(|p| p.length),
    };
    let mut found: Vec<(u8, &Route)> =
        seen.routes.iter().filter(|r| r.table == table).filter_map(|r| Some((length(r)?, r))).collect();
    // The kernel keeps the first of equals.
    found.sort_by_key(|(length, r)| (std::cmp::Reverse(*length), r.metric.unwrap_or(0)));
    let mut routes: Vec<Route> = Vec::new();
    for (_, route) in found {
        if !routes.contains(route) {
            routes.push(route.clone());
        }
    }
    routes
}

fn source(seen: &Observation, route: &Route, to: IpAddr) -> Option<String> {
    if route.source.is_some() {
        return route.source.clone();
    }
    let dev = route.dev.as_deref().or(route.nexthops.first().and_then(|h| h.dev.as_deref()))?;
    let fits = |a: &&super::super::observation::Address| {
        a.dev == dev && a.scope == "global" && a.address.contains(':') == to.is_ipv6()
    };
    seen.addresses.iter().find(fits).map(|a| a.address.clone())
}

impl RouteExplanation {
    /// Lines for people.
    pub fn render(&self) -> String {
        let mut out = format!("{} on {}\n", self.address, self.node);
        for answer in &self.tables {
            match answer.candidates.as_slice() {
                [] => out += &format!("  table {}: no route covers it\n", answer.table),
                [best, rest @ ..] => {
                    out += &format!("  table {}: {}\n", answer.table, route_line(best));
                    for other in rest {
                        out += &format!("    less specific or of higher metric: {}\n", route_line(other));
                    }
                }
            }
        }
        match (&self.chosen, &self.owner) {
            (Some(route), Some(owner)) => {
                out += &format!("  taken: {}\n", route_line(route));
                out += &format!("  made by {}: {}\n", owner.component, owner.why);
            }
            _ => out += "  no route: the packet is refused as unreachable\n",
        }
        if let Some(source) = &self.source {
            out += &format!("  source address of the node's own packets: {source}\n");
        }
        self.notes.iter().for_each(|n| out += &format!("  note: {n}\n"));
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::fixture;
    use crate::observe::observation::PolicyRule;

    fn taken(address: &str) -> (String, String) {
        let explained = route(&fixture::after("flannel-w1"), address).unwrap();
        let last = explained.tables.last().unwrap().table.clone();
        (last, explained.chosen.map(|r| route_line(&r)).unwrap_or_default())
    }

    #[test]
    fn longest_prefix_over_all_tables() {
        assert_eq!(taken("10.244.2.9").1, "10.244.2.0/24 via 10.244.2.0 dev flannel.1 onlink");
        assert_eq!(taken("10.244.1.2").1, "10.244.1.0/24 dev cni0 proto kernel scope link src 10.244.1.1");
        assert_eq!(taken("10.96.0.1").1, "default via 10.0.2.2 dev eth0 proto static onlink");
        assert_eq!(taken("192.168.20.101").0, "local");
        assert_eq!(taken("fd00::1"), ("default".to_string(), String::new()));
    }

    #[test]
    fn the_source_is_found_without_prefsrc() {
        let seen = fixture::after("flannel-w1");
        assert_eq!(route(&seen, "10.96.0.1").unwrap().source.as_deref(), Some("10.0.2.15"));
        assert_eq!(route(&seen, "10.244.2.9").unwrap().source.as_deref(), Some("10.244.1.0"));
        let shown = route(&seen, "10.244.2.9").unwrap().render();
        assert!(shown.contains("table local: no route covers it\n") && shown.contains("made by flannel"), "{shown}");
    }

    #[test]
    fn policy_metric_throw_and_errors() {
        let mut seen = Observation::default();
        let add = |seen: &mut Observation, table: &str, kind: &str, metric| {
            let (table, kind) = (table.to_string(), kind.to_string());
            seen.routes.push(Route { destination: "10.0.0.0/8".into(), table, kind, metric, ..Route::default() });
        };
        add(&mut seen, "7", "throw", None);
        add(&mut seen, "main", "unicast", Some(20));
        add(&mut seen, "main", "unicast", Some(10));
        let rule = |preference, table: &str, selectors: &[&str]| PolicyRule {
            preference,
            table: table.into(),
            selectors: selectors.iter().map(|s| s.to_string()).collect(),
        };
        seen.policy = vec![rule(9, "main", &[]), rule(1, "7", &[]), rule(5, "8", &["fwmark 0x1"])];
        let explained = route(&seen, "10.1.1.1").unwrap();
        assert_eq!(explained.chosen.as_ref().unwrap().metric, Some(10));
        assert_eq!(explained.tables.iter().map(|t| t.table.as_str()).collect::<Vec<_>>(), ["7", "main"]);
        assert!(explained.notes[0].contains("fwmark 0x1"));
        assert!(route(&seen, "10.1.1").unwrap_err().to_string().contains("no IP address"));
    }
}
