//! What a report says, in order: the network, what changed on each node, how services work, what was seen before and
//! after, and with each table the command that shows it.

use super::document::{Block, heading, text};
use super::graph::{boxes, svg_in_page, topology};
use crate::observe::diff::{self, Diff, Options};
use crate::observe::explain;
use crate::observe::fact::Subject;
use crate::observe::versions::{PROGRAMS, version};
use crate::observe::{Cluster, Observation};

/// What a report is made of.
pub struct Report<'a> {
    pub lab: &'a str,
    pub title: &'a str,
    /// How the nodes were made, in a line; empty where it is not known any more.
    pub driver: &'a str,
    pub before: (&'a str, &'a [Observation]),
    pub after: (&'a str, &'a [Observation]),
    /// What services are explained from.
    pub services: (&'a str, &'a [Observation]),
    /// What the checks showed.
    pub checks: Option<&'a str>,
}

/// The tables of a node by the commands that show them, as they were captured.
const TABLES: [&str; 6] = ["ip link", "ip addr", "ip route", "ip neigh", "bridge fdb", "iptables -t nat -S"];
/// Composes the document.
pub fn compose(report: &Report) -> Vec<Block> {
    let mut out = vec![heading(1, report.title), text(intro(report))];
    let seen = topology(report.services.1);
    let drawn = boxes(&seen, &[], 120);
    out.push(heading(2, "The network"));
    out.push(text(format!("As it was observed at {}, not as the lab file says.", report.services.0)));
    out.push(Block::Picture { svg: svg_in_page(&seen, &[]), text: drawn });
    out.push(versions(report.services.1));
    changes(report, &mut out);
    services(report.services.1, &mut out);
    if let Some(checks) = report.checks {
        out.push(heading(2, "Checks"));
        out.push(Block::Code(checks.to_string()));
    }
    tables(report, &mut out);
    out
}

fn intro(report: &Report) -> String {
    let nodes = report.after.1.len();
    let driver = if report.driver.is_empty() { String::new() } else { format!(" Nodes: {}.", report.driver) };
    format!(
        "Lab {}, {nodes} nodes: what changed from {} to {}, and how it works now.{driver}",
        report.lab, report.before.0, report.after.0
    )
}

fn versions(nodes: &[Observation]) -> Block {
    let known = |command: &str| nodes.iter().any(|n| n.texts.contains_key(command));
    let shown: Vec<_> = PROGRAMS.iter().filter(|(_, command)| known(command)).collect();
    let titles = std::iter::once("node".to_string()).chain(shown.iter().map(|(name, _)| name.to_string()));
    let row = |n: &Observation| {
        let cell = |command: &str| n.texts.get(command).map(|t| version(t)).unwrap_or_default();
        std::iter::once(n.node.clone()).chain(shown.iter().map(|(_, command)| cell(command))).collect()
    };
    Block::Table { titles: titles.collect(), rows: nodes.iter().map(row).collect() }
}

fn changes(report: &Report, out: &mut Vec<Block>) {
    out.push(heading(2, format!("What changed, from {} to {}", report.before.0, report.after.0)));
    out.push(text(
        "Each change stands with who made it and why that is known. What changes by itself (counters, lifetimes, \
         learned entries) is left out; what others than the network plugin did meanwhile is only counted.",
    ));
    for new in report.after.1 {
        let Some(old) = report.before.1.iter().find(|o| o.node == new.node) else {
            out.push(heading(3, &new.node));
            out.push(text("It was not observed before."));
            continue;
        };
        let diff = diff::diff(old, new);
        out.push(heading(3, &new.node));
        node_changes(&diff, out);
    }
}

fn node_changes(diff: &Diff, out: &mut Vec<Block>) {
    let options = Options::default();
    if diff.is_empty() {
        out.push(text("Nothing changed."));
    }
    for part in diff::parts(diff, &options) {
        out.push(heading(4, format!("{} {}", part.sign, part.subject.title())));
        for (why, lines) in part.reasons {
            out.push(text(why));
            out.push(Block::Diff(lines.join("\n")));
        }
        if let Some(command) = command_for(&part.subject) {
            out.push(Block::Command { node: diff.node.clone(), command, prints: None });
        }
    }
    out.extend(diff::remarks(diff, &options).into_iter().map(text));
}

/// What a student would type to see the subject.
fn command_for(subject: &Subject) -> Option<String> {
    Some(match subject {
        Subject::Link { name } => format!(
            "ip -d addr show dev {name}; ip route show dev {name}; ip neigh show dev {name}; bridge fdb show dev {name}"
        ),
        Subject::Routing => "ip rule; ip route show table all".to_string(),
        Subject::Chain { ipv6, table, name } => {
            format!("{} -t {table} -S {name}", if *ipv6 { "ip6tables" } else { "iptables" })
        }
        Subject::Nft => "nft list ruleset".to_string(),
        Subject::Sysctls => return None,
        Subject::Files => "cat /run/flannel/subnet.env /etc/cni/net.d/*".to_string(),
    })
}

fn services(nodes: &[Observation], out: &mut Vec<Block>) {
    out.push(heading(2, "How services reach their pods"));
    let Some(cluster) = nodes.iter().find_map(|n| n.cluster.as_ref()) else {
        out.push(text("The cluster's objects were not captured with this observation, so no service is explained."));
        return;
    };
    for service in &cluster.services {
        one_service(&format!("{}/{}", service.namespace, service.name), nodes, cluster, out);
    }
}

fn one_service(name: &str, nodes: &[Observation], cluster: &Cluster, out: &mut Vec<Block>) {
    out.push(heading(3, name));
    let explained = match explain::service(name, nodes, cluster, None) {
        Ok(explained) => explained,
        Err(error) => return out.push(text(error.to_string())),
    };
    for port in &explained.ports {
        for backend in &port.backends {
            let who = backend.pod.as_deref().unwrap_or("no pod");
            let on = backend.node.as_deref().map(|n| format!(" on {n}")).unwrap_or_default();
            let share = port.journeys.first().map(|j| explain::share_of(j, &backend.endpoint)).unwrap_or(0.0);
            out.push(text(format!("{}: {:.1} % to {}, {who}{on}", port.name, share * 100.0, backend.endpoint)));
        }
    }
    let rendered = Block::Code(explained.render());
    out.push(Block::Fold("The whole walk, chain by chain, with proofs".to_string(), vec![rendered]));
    let chains = explained.ports.iter().flat_map(|p| &p.proofs).filter(|p| p.proved).map(|p| p.chain.as_str());
    let chains: Vec<&str> = chains.collect();
    if let (Some(node), false) = (nodes.first(), chains.is_empty()) {
        let commands = chains.iter().map(|c| format!("iptables -t nat -S {c}")).collect::<Vec<_>>().join("\n");
        let all = Block::Command { node: node.node.clone(), command: commands, prints: None };
        out.push(Block::Fold("See it yourself".to_string(), vec![all]));
    }
}

fn tables(report: &Report, out: &mut Vec<Block>) {
    out.push(heading(2, "The tables, before and after"));
    for new in report.after.1 {
        out.push(heading(3, &new.node));
        let old = report.before.1.iter().find(|o| o.node == new.node);
        for command in TABLES {
            for (name, seen) in [(report.before.0, old), (report.after.0, Some(new))] {
                let Some(prints) = seen.and_then(|s| s.texts.get(command)) else { continue };
                let block = Block::Command {
                    node: new.node.clone(),
                    command: command.to_string(),
                    prints: Some(prints.clone()),
                };
                out.push(Block::Fold(format!("{command}, {name}"), vec![block]));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::fixture;
    use crate::report::{html, markdown};

    fn document() -> Vec<Block> {
        let names = ["flannel-ctr", "flannel-w1", "flannel-w2"];
        let before = names.map(fixture::before).to_vec();
        let mut after = fixture::nodes();
        after[0].cluster = Some(fixture::cluster());
        compose(&Report {
            lab: "flannel",
            title: "Flannel",
            driver: "containers",
            before: ("before", &before),
            after: ("after", &after),
            services: ("after", &after),
            checks: Some("PASS  all\n"),
        })
    }

    #[test]
    fn the_report_teaches() {
        let text = markdown(&document());
        for part in [
            "# Flannel",
            "link flannel.1",
            "iptables -t nat -S FLANNEL-POSTRTG",
            "ip -d addr show dev flannel.1",
            "default/webpod: 50.0 % to 10.244.1.2:80, default/webpod-55ff548fc7-x9csv on flannel-w1",
            "iptables -t nat -S KUBE-SVC-CNZCPOCNCNOROALA",
            "ip route, before",
            "PASS  all",
        ] {
            assert!(text.replace('\\', "").contains(part), "{part}\n{text}");
        }
        assert!(!text.contains("KUBE-SEP-") || text.contains("See it yourself"));
    }

    #[test]
    fn as_html_it_has_the_picture_and_no_request() {
        let page = html(&document());
        assert!(page.contains("<svg") && page.contains("class=\"vxlan\"") && page.contains("<details>"));
        assert_eq!(page.matches("://").count(), page.matches("http://www.w3.org").count());
    }
}
