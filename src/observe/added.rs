//! What one capture of a node has that an earlier one has not: links, routes and NAT rules, by who made them.

use super::capture::sections;
use super::owner::{Owner, of_link, of_route, of_rule};
use std::collections::{BTreeMap, BTreeSet};

/// Something that was added, as its tool shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Added {
    /// "link", "route" or "nat".
    pub table: &'static str,
    pub line: String,
    pub owner: Owner,
}

/// Everything that `after` has and `before` has not, in the order of the capture.
pub fn added(before: &str, after: &str) -> Vec<Added> {
    let (before, after) = (sections(before), sections(after));
    let lines = |capture: &BTreeMap<&str, Vec<&str>>, name: &str| -> Vec<String> {
        capture.get(name).into_iter().flatten().map(|l| l.trim().to_owned()).collect()
    };
    let mut all = Vec::new();
    let old: BTreeSet<String> = links(&lines(&before, "link")).into_iter().map(|(name, _)| name).collect();
    for (name, line) in links(&lines(&after, "link")) {
        if !old.contains(&name) {
            all.push(Added { table: "link", line, owner: of_link(&name) });
        }
    }
    for (table, section, owner) in [("route", "route", of_route as fn(&str) -> Owner), ("nat", "nat", of_rule)] {
        let old: BTreeSet<String> = lines(&before, section).into_iter().collect();
        for line in lines(&after, section).into_iter().filter(|l| !old.contains(l)) {
            all.push(Added { table, owner: owner(&line), line });
        }
    }
    all
}

/// Name and first line of each link of `ip link`, without the index, which depends on what else was made before.
fn links(lines: &[String]) -> Vec<(String, String)> {
    let heads = lines.iter().filter_map(|line| {
        let (index, rest) = line.split_once(": ")?;
        index.parse::<u32>().ok()?;
        let name = rest.split([':', '@']).next()?;
        Some((name.to_owned(), rest.to_owned()))
    });
    heads.collect()
}

/// What was added on each node, for people: in full where `of` made it, as a count where others did.
pub fn show(nodes: &[(String, Vec<Added>)], of: Owner) -> String {
    let mut out = String::new();
    for (node, all) in nodes {
        out += &format!("{node}\n");
        let mut others: BTreeMap<Owner, usize> = BTreeMap::new();
        for item in all {
            if item.owner == of {
                out += &format!("  + {:<6}{}\n", item.table, item.line);
            } else {
                *others.entry(item.owner).or_default() += 1;
            }
        }
        for (owner, count) in others {
            out += &format!("    and {count} by {}\n", owner.name());
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixture(name: &str) -> String {
        let path = format!("{}/tests/fixtures/flannel/{name}", env!("CARGO_MANIFEST_DIR"));
        std::fs::read_to_string(path).unwrap()
    }

    fn capture(link: &str, route: &str, nat: &str) -> String {
        format!("=====lab-section link\n{link}\n=====lab-section route\n{route}\n=====lab-section nat\n{nat}\n")
    }

    #[test]
    fn flannels_part_of_a_real_cluster() {
        let before = capture(&fixture("before-link.txt"), &fixture("before-route.txt"), "-N KUBE-SERVICES");
        let nat =
            "-N FLANNEL-POSTRTG\n-N KUBE-SERVICES\n-N KUBE-SVC-TCOU7JCQXEZGVUNU\n-A POSTROUTING -j FLANNEL-POSTRTG";
        let after = capture(&fixture("link.txt"), &fixture("route.txt"), nat);
        let all = added(&before, &after);
        let of = |owner| all.iter().filter(|a| a.owner == owner).map(|a| a.line.as_str()).collect::<Vec<_>>();
        let flannel = of(Owner::Flannel);
        assert!(flannel[0].starts_with("flannel.1: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1450"), "{flannel:?}");
        assert_eq!(
            flannel[1..],
            [
                "10.244.1.0/24 via 10.244.1.0 dev flannel.1 onlink",
                "10.244.2.0/24 via 10.244.2.0 dev flannel.1 onlink",
                "-N FLANNEL-POSTRTG",
                "-A POSTROUTING -j FLANNEL-POSTRTG"
            ]
        );
        assert_eq!(of(Owner::KubeProxy), ["-N KUBE-SVC-TCOU7JCQXEZGVUNU"]);
        let text = show(&[("n1".into(), all)], Owner::Flannel);
        assert!(text.contains("  + route 10.244.1.0/24") && text.contains("and 1 by kube-proxy"), "{text}");
    }

    #[test]
    fn the_same_capture_has_nothing_added() {
        let one = capture(&fixture("link.txt"), &fixture("route.txt"), "");
        assert_eq!(added(&one, &one), []);
    }
}
