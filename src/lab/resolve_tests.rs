use super::*;
use crate::lab::model::Action;
use proptest::prelude::*;

const GOOD: &str = "\
lab: two
image: plain
values:
  greeting: {type: string, default: hi}
networks:
  nat: {kind: nat}
  lan: {kind: host-only, subnet: 192.168.20.0/24}
nodes:
  n1: {cpus: 2, memory: 1GiB, networks: {lan: 192.168.20.11}}
  n2: {networks: {lan: 192.168.20.12}}
steps:
  - {name: hello, on: n1, run: 'echo {{ greeting }} {{ node.name }}'}
  - {name: both, uses: say, with: {word: '{{ greeting }}!'}, needs: hello}
";

fn library(path: &str) -> Option<(String, String)> {
    let text = match path {
        "images/plain.yaml" => "packages: []",
        "say.yaml" => {
            "inputs:\n  word: {type: string}\nsteps:\n  - {name: a, run: 'echo {{ word }}', outputs: {x: {secret: true, lifetime: 5m}}}\n  - {name: b, on: n2, needs: a, run: 'true'}\n"
        }
        "loop.yaml" => "steps:\n  - {name: again, uses: loop}\n",
        "probes/up.yaml" => {
            "inputs: {what: {type: string}}\ndescription: '{{ what }} is up'\nhint: 'look at {{ what }}'\nrun: 'test -e {{ what }}'\n"
        }
        "bad.yaml" => "steps:\n  - {name: a, run: 'echo {{ wrod }}'}\n",
        _ => return None,
    };
    Some((format!("templates/{path}"), text.to_owned()))
}

fn run(text: &str) -> Result<Lab, Error> {
    resolve(&Sources { name: "l.yaml", text, library: &library, set: &BTreeMap::new() })
}

fn why(text: &str) -> String {
    run(text).unwrap_err().why
}

#[test]
fn a_good_lab_is_all_there() {
    let lab = run(GOOD).unwrap();
    let n1 = lab.node("n1").unwrap();
    assert_eq!((n1.cpus, n1.memory), (2, 1 << 30));
    let devices: Vec<(&str, Option<String>)> =
        n1.links.iter().map(|l| (l.device.as_str(), l.address.map(|a| a.to_string()))).collect();
    assert_eq!(devices, [("eth0", None), ("eth1", Some("192.168.20.11".into()))]);
    let steps: Vec<(&str, String, String)> =
        lab.steps.iter().map(|s| (s.name.as_str(), s.on.join(","), s.needs.join(","))).collect();
    assert_eq!(
        steps,
        [
            ("hello", "n1".into(), String::new()),
            ("both/a", "n1,n2".into(), "hello".into()),
            ("both/b", "n2".into(), "hello,both/a".into())
        ]
    );
    assert_eq!(lab.steps[1].inputs["word"], "hi!");
    assert!(lab.steps[1].outputs[0].secret);
    assert!(matches!(&lab.steps[0].action, Action::Run { script } if script.contains("greeting")));
}

#[test]
fn set_overrides_by_type() {
    let set = BTreeMap::from([("greeting".to_owned(), "yo".to_owned())]);
    let lab = resolve(&Sources { name: "l", text: GOOD, library: &library, set: &set }).unwrap();
    assert_eq!(lab.values["greeting"], "yo");
    let set = BTreeMap::from([("nope".to_owned(), "x".to_owned())]);
    let error = resolve(&Sources { name: "l", text: GOOD, library: &library, set: &set }).unwrap_err();
    assert!(error.why.contains("it has greeting"), "{error}");
}

#[test]
fn all_problems_at_once_with_places() {
    let text = GOOD
        .replace("cpus: 2", "cpuz: 2")
        .replace("192.168.20.12", "192.168.21.12")
        .replace("on: n1, run", "on: n3, run")
        .replace("{{ node.name }}", "{{ nod.name }}");
    let why = why(&text);
    assert!(why.starts_with("4 problems"), "{why}");
    for part in [
        "l.yaml:9:8",
        "did you mean `cpus`?",
        "192.168.21.12 is no address for a node in 192.168.20.0/24",
        "no node `n3`",
        "did you mean `node`?",
    ] {
        assert!(why.contains(part), "{part} in {why}");
    }
}

#[test]
fn refuses_what_makes_no_sense() {
    for (from, to, part) in [
        ("192.168.20.12", "192.168.20.11", "n1's already"),
        ("kind: nat", "kind: bridge", "unknown kind of network"),
        ("192.168.20.0/24", "10.0.2.0/24", "overlaps the NAT network"),
        ("type: string", "type: strnig", "did you mean `string`?"),
        ("memory: 1GiB", "memory: 1MiB", "too little"),
        ("needs: hello", "needs: helo", "did you mean `hello`?"),
        ("uses: say", "uses: ../say", "there is no composite step"),
        ("uses: say", "uses: loop", "does it use itself?"),
        ("word:", "wrod:", "unknown input `wrod`"),
        ("image: plain", "image: none", "no image `none`"),
        ("lab: two", "lab: ../two", "is no name"),
        ("n2:", "N2:", "is no name"),
        ("name: hello, on: n1, run:", "name: hello, on: n1, observe: x, run:", "exactly one thing"),
        ("name: both", "name: hello", "a second step named"),
        ("{{ greeting }} {{", "{{ greeting }} {% {{", "syntax error"),
    ] {
        let text = GOOD.replace(from, to);
        assert_ne!(text, GOOD, "{from}");
        let why = why(&text);
        assert!(why.contains(part), "{to}: {part} in {why}");
    }
}

#[test]
fn what_people_read_of_a_probe_is_rendered_by_its_inputs() {
    let lab =
        run(&format!("{GOOD}  - {{name: w, wait: {{probe: up, with: {{what: '{{{{ greeting }}}}'}}}}}}\n")).unwrap();
    let Action::Wait { probe } = &lab.steps.last().unwrap().action else { panic!() };
    assert_eq!((probe.description.as_str(), probe.hint.as_deref()), ("hi is up", Some("look at hi")));
}

#[test]
fn a_problem_in_a_template_names_the_template() {
    let why = why(&GOOD.replace("uses: say, with: {word: '{{ greeting }}!'}", "uses: bad"));
    assert!(why.contains("templates/bad.yaml:2:"), "{why}");
}

proptest! {
    #[test]
    fn never_panics(cut in 0usize..GOOD.len(), junk in "[a-z{}:\\[\\],/ \n-]{0,12}") {
        let text = format!("{}{junk}{}", &GOOD[..cut], &GOOD[cut..]);
        let _ = run(&text);
    }
}

#[test]
fn a_lab_file_may_name_its_driver() {
    assert_eq!(run(GOOD).unwrap().driver, None);
    let named = |name: &str| GOOD.replace("image: plain", &format!("image: plain\ndriver: {name}"));
    assert_eq!(run(&named("container")).unwrap().driver.as_deref(), Some("container"));
    let why = why(&named("contianer"));
    assert!(why.contains("there is no driver `contianer`") && why.contains("did you mean `container`?"), "{why}");
}
