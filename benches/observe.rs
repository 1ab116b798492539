//! How long it takes to read and explain the rules of 5,000 services, beside plainly reading their lines.

use lab::observe::explain;
use lab::observe::rules::Ruleset;
use lab::observe::{Cluster, Observation, chain_name};
use std::fmt::Write as _;
use std::hint::black_box;
use std::time::{Duration, Instant};

const SERVICES: usize = 5_000;
const ROUNDS: usize = 7;

fn main() {
    let (rules, objects) = generate();
    let lines = rules.lines().count();
    let words = || rules.lines().map(|l| l.split(' ').map(str::to_string).collect::<Vec<_>>().len()).sum::<usize>();
    let baseline = best(|| black_box(words()));
    println!("{SERVICES} services, {lines} lines, {} KiB", rules.len() / 1024);
    println!("baseline: each line split into owned words   {:6.1} ms", millis(baseline));
    let parse = best(|| Ruleset::parse(black_box(&rules)));
    show("parse the rules", parse, baseline);
    let seen = Observation { node: "n1".into(), rules: Ruleset::parse(&rules), ..Observation::default() };
    show("print them again", best(|| black_box(&seen).rules.print()), baseline);
    let cluster = Cluster::parse(&objects).expect("generated JSON");
    let nodes = [seen];
    let last = format!("ns/service-{}", SERVICES - 1);
    let explain = || explain::service(&last, black_box(&nodes), &cluster, None).expect("a generated service");
    assert_eq!(explain().ports[0].journeys.len(), 2, "the walk must find something, else it is quick for nothing");
    let time = best(explain);
    show("explain the last service, from a pod and from the node", time, baseline);
    show("parse and explain", parse + time, baseline);
    show("diff with itself", best(|| lab::observe::diff::diff(&nodes[0], black_box(&nodes[0]))), baseline);
}

/// The shortest of several rounds: what others do on the host only adds.
fn best<T>(work: impl Fn() -> T) -> Duration {
    let round = || {
        let start = Instant::now();
        black_box(work());
        start.elapsed()
    };
    (0..ROUNDS).map(|_| round()).min().unwrap_or_default()
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn show(what: &str, time: Duration, baseline: Duration) {
    println!("{what}: {:.1} ms, {:.1} times the baseline", millis(time), time.as_secs_f64() / baseline.as_secs_f64());
}

/// iptables-save's text and kubectl's JSON for services with two endpoints each.
fn generate() -> (String, String) {
    let (mut chains, mut portals, mut rules, mut objects) = (String::new(), String::new(), String::new(), Vec::new());
    let head = ":PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\n:KUBE-SERVICES - [0:0]\n\
                :KUBE-MARK-MASQ - [0:0]\n";
    for n in 0..SERVICES {
        let name = format!("ns/service-{n}");
        let ip = format!("10.96.{}.{}", n / 250, n % 250 + 1);
        let ends = [1, 2].map(|e| format!("10.{}.{}.{}:80", 244 + e, n / 250, n % 250 + 1));
        let svc = format!("KUBE-SVC-{}", chain_name::hash(&chain_name::service_input(&name, "tcp")));
        let to = format!("-d {ip}/32 -p tcp -m comment --comment \"{name} cluster IP\" -m tcp --dport 80");
        write_all(&mut chains, format_args!(":{svc} - [0:0]\n"));
        write_all(&mut portals, format_args!("[0:0] -A KUBE-SERVICES {to} -j {svc}\n"));
        write_all(&mut rules, format_args!("[0:0] -A {svc} ! -s 10.244.0.0/16 {to} -j KUBE-MARK-MASQ\n"));
        let half = ["-m statistic --mode random --probability 0.50000000000 ", ""];
        for (end, half) in ends.iter().zip(half) {
            let sep = format!("KUBE-SEP-{}", chain_name::hash(&chain_name::endpoint_input(&name, "tcp", end)));
            let pod = end.trim_end_matches(":80");
            let comment = format!("-m comment --comment \"{name}\"");
            write_all(&mut chains, format_args!(":{sep} - [0:0]\n"));
            let arrow = format!("-m comment --comment \"{name} -> {end}\"");
            write_all(&mut rules, format_args!("[0:0] -A {svc} {arrow} {half}-j {sep}\n"));
            write_all(&mut rules, format_args!("[0:0] -A {sep} -s {pod}/32 {comment} -j KUBE-MARK-MASQ\n"));
            let dnat = format!("-p tcp {comment} -m tcp -j DNAT --to-destination {end}");
            write_all(&mut rules, format_args!("[0:0] -A {sep} {dnat}\n"));
        }
        objects.push(format!(
            r#"{{"kind":"Service","metadata":{{"namespace":"ns","name":"service-{n}"}},"spec":{{"type":"ClusterIP","clusterIPs":["{ip}"],"ports":[{{"port":80,"protocol":"TCP"}}]}}}}"#
        ));
    }
    objects.push(r#"{"kind":"Node","metadata":{"name":"n1"},"spec":{"podCIDRs":["10.244.0.0/24"]}}"#.to_string());
    let jumps = "[0:0] -A PREROUTING -j KUBE-SERVICES\n[0:0] -A OUTPUT -j KUBE-SERVICES\n\
                 [0:0] -A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000\n";
    (format!("*nat\n{head}{chains}{jumps}{portals}{rules}COMMIT\n"), format!("{{\"items\":[{}]}}", objects.join(",")))
}

fn write_all(out: &mut String, text: std::fmt::Arguments) {
    out.write_fmt(text).expect("a String takes everything");
}
