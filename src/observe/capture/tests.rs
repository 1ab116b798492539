use super::*;
use crate::observe::fixture;
use proptest::prelude::*;

#[test]
fn the_fixture_is_read_whole() {
    let seen = parse("flannel-w1", &fixture::captured("flannel-w1"));
    assert_eq!(seen.node, "flannel-w1");
    assert!(seen.raw.is_empty(), "{:?}", seen.raw);
    assert!(seen.notes.is_empty(), "{:?}", seen.notes);
    assert!(seen.failed.is_empty(), "{:?}", seen.failed);
    assert_eq!(seen.links.len(), 6);
    assert!(seen.owns("10.244.1.1"));
    assert!(seen.files["/run/flannel/subnet.env"].contains("FLANNEL_MTU=1450"));
    assert_eq!(seen.sysctls["net.ipv4.ip_forward"], "1");
    let expected = include_str!("../../../tests/fixtures/flannel/flannel-w1/iptables-save.txt");
    assert_eq!(seen.rules.print(), expected);
    let json = serde_json::to_string(&seen).unwrap();
    assert_eq!(serde_json::from_str::<Observation>(&json).unwrap(), seen);
}

#[test]
fn a_missing_tool_is_a_note() {
    let text = format!(
        "motd\n{MARK}begin fdb\n\n{MARK}error sh: 1: bridge: not found\n{MARK}end fdb 127\n{MARK}begin nft\n\n{MARK}end nft 127\n{MARK}begin links\n[{{"
    );
    let seen = parse("n1", &text);
    assert_eq!(seen.failed["fdb"], 127);
    assert!(!seen.has("fdb") && !seen.has("links") && !seen.has("rules"));
    let notes: Vec<_> = seen.notes.iter().map(|n| format!("{}: {}", n.section, n.text)).collect();
    assert!(notes[0].contains("bridge: not found"), "{notes:?}");
    assert!(!notes.iter().any(|n| n.starts_with("nft")));
    assert!(notes.iter().any(|n| n.contains("broke off: what follows")));
    assert_eq!(seen.raw[0].text, "motd");
    assert!(seen.raw.iter().any(|r| r.section == "links"));
}

#[test]
fn other_modes_of_kube_proxy_are_seen() {
    let ipvs = "IP Virtual Server version 1.2.1 (size=4096)\nProt LocalAddress:Port Scheduler Flags\nTCP  0A600001:01BB rr\n  -> C0A81464:192B Masq 1 0 0\n";
    let seen = parse("n1", &fixture::wrap(&[("nft", "table ip kube-proxy\ntable ip6 kube-proxy\n"), ("ipvs", ipvs)]));
    assert_eq!(seen.nft_tables, ["ip kube-proxy", "ip6 kube-proxy"]);
    assert_eq!(seen.ipvs_services.len(), 1);
}

#[test]
fn every_section_of_the_script_is_known() {
    let calls = script().lines().map(str::trim).filter_map(|l| l.strip_prefix("section "));
    let names: Vec<&str> = calls.map(|l| l.split([' ', '\'']).find(|w| !w.is_empty()).unwrap()).collect();
    assert!(names.len() > 15, "{names:?}");
    for name in names.into_iter().filter(|n| !n.contains(':')) {
        let seen = parse("n1", &fixture::wrap(&[(name, "")]));
        assert!(!seen.raw.iter().any(|r| r.section == name), "{name}");
        let unknown = parse("n1", &fixture::wrap(&[(name, "x y")]));
        let stray = parse("n1", &fixture::wrap(&[("unheard-of", "x y")]));
        assert_eq!(stray.raw.len(), 1);
        assert!(unknown.raw.iter().all(|r| r.section == name));
    }
    assert!(script().contains(MARK.trim()));
}

#[cfg(unix)]
#[test]
fn the_script_runs_here() {
    let ran = std::process::Command::new("sh").args(["-c", script()]).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    assert!(ran.stderr.is_empty(), "{}", String::from_utf8_lossy(&ran.stderr));
    let seen = parse("here", &String::from_utf8_lossy(&ran.stdout));
    assert!(!seen.notes.iter().any(|n| n.text.contains("broke off")), "{:?}", seen.notes);
    assert!(seen.has("sysctls"));
    if seen.has("links") {
        assert!(seen.link("lo").is_some());
    }
}

proptest! {
    #[test]
    fn any_text_is_read(text in "(\\PC|\n|@@lab-observe-b3f1c6d07a92@@ |begin |end |links|rules|routes6| 0\n|\\[\\{\"dst\":){0,40}") {
        let _ = parse("n", &text);
    }

    #[test]
    fn any_json_is_read(keys in proptest::collection::vec("(ifname|mtu|dst|linkinfo|addr_info|flags|mac|srclen|nexthops)", 0..6), value in "(1|-1|1e99|\"x\"|null|\\[\\]|\\[\\{\\}\\]|\\{\"info_kind\":\"vxlan\"\\}|true)") {
        let fields: Vec<String> = keys.iter().map(|k| format!("\"{k}\":{value}")).collect();
        let json = format!("[{{{}}}, {value}]", fields.join(","));
        for name in ["links", "addresses", "policy", "routes", "neighbours", "fdb"] {
            let seen = parse("n", &fixture::wrap(&[(name, json.as_str())]));
            prop_assert!(seen.has(name));
        }
    }
}
