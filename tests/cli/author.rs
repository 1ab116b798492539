//! Who writes a lab: `init`, `validate`, `render`, `schema`, values from files.

use crate::support::{Home, run};
use lab::lab::schema::{File, schema};
use lab::yaml::{Node, Value, parse};
use serde_json::{Value as Json, json};

const HEAD: &str = "lab: x\nimage: plain\nvalues:\n  word: {type: string, default: hello}\n  count: {type: int, default: 1}\nnetworks: {lan: {kind: host-only, subnet: 192.168.20.0/24}}\nnodes:\n  n1: {networks: {lan: 192.168.20.11}}\n  n2: {networks: {lan: 192.168.20.12}}\n";

/// The lab files of a folder of fixtures: name, text, and what is said of it.
fn bad(folder: &str) -> Vec<(String, String, String)> {
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/labs").join(folder);
    let mut all = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let says = text.lines().next().unwrap().strip_prefix("# says: ").unwrap().to_owned();
        all.push((path.file_stem().unwrap().to_string_lossy().into_owned(), text, says));
    }
    assert!(all.len() > 15, "{folder}");
    all
}

/// A lab file as an editor's YAML reader sees it.
fn json(node: &Node) -> Json {
    match &node.value {
        Value::Null => Json::Null,
        Value::Scalar { text, quoted } => match text.as_str() {
            "true" | "false" if !quoted => json!(text == "true"),
            _ => text.parse::<i64>().ok().filter(|_| !quoted).map_or_else(|| json!(text), Json::from),
        },
        Value::List(items) => items.iter().map(json).collect(),
        Value::Map(entries) => Json::Object(entries.iter().map(|(k, v)| (k.text.clone(), json(v))).collect()),
    }
}

#[test]
fn bad_lab_files_are_refused_with_what_was_meant() {
    let home = Home::new();
    let validator = jsonschema::validator_for(&schema(File::Lab)).unwrap();
    for folder in ["shape", "meaning"] {
        for (name, text, says) in bad(folder) {
            home.file("lab.yaml", &text);
            let (out, err, code) = run(home.lab(&["validate"]));
            assert_eq!((out.as_str(), code), ("", Some(2)), "{name}: {err}");
            assert!(err.contains(&says), "{name}: {says} in\n{err}");
            let valid = validator.is_valid(&json(&parse(&text).unwrap()));
            assert_eq!(valid, folder == "meaning", "{name}: what a schema can say, it says");
        }
    }
    assert!(!home.state().exists());
}

#[test]
fn init_writes_a_lab_file_that_is_good_and_takes_nothing_away() {
    let home = Home::new();
    let (out, err, code) = run(home.lab(&["init", "lesson"]));
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("lab validate"), "{out}");
    let text = std::fs::read_to_string(home.path().join("lab.yaml")).unwrap();
    assert!(text.contains("\nlab: lesson\n"));
    let named = text.lines().next().unwrap().strip_prefix("# yaml-language-server: $schema=").unwrap();
    let kept = std::fs::read_to_string(home.path().join(named)).unwrap();
    assert_eq!(serde_json::from_str::<Json>(&kept).unwrap(), schema(File::Lab), "an editor completes it");
    let (out, err, code) = run(home.lab(&["validate"]));
    assert_eq!((code, out.starts_with("lesson: good, 2 nodes")), (Some(0), true), "{out}{err}");
    let (out, err, _) = run(home.lab(&["render", "hello", "--driver", "fake"]));
    assert!(out.contains("### hello on n1: run") && out.contains("cat /etc/motd"), "{out}{err}");
    let (_, err, code) = run(home.lab(&["init", "other"]));
    assert_eq!(code, Some(2));
    assert!(err.contains("there is a lab.yaml in this folder") && err.contains("--force"), "{err}");
    let (_, err, code) = run(home.lab(&["init", "other", "--force", "--from", "flannel"]));
    assert_eq!(code, Some(0), "{err}");
    let (out, err, _) = run(home.lab(&["validate"]));
    assert!(out.starts_with("other: good, 3 nodes"), "{out}{err}");
    let (_, err, code) = run(home.lab(&["init", "Other", "--force"]));
    assert_eq!(code, Some(2), "{err}");
    assert!(err.contains("is no name"), "{err}");
}

#[test]
fn values_come_from_files_and_the_command_line_wins() {
    let home = Home::new();
    home.file(
        "lab.yaml",
        &format!("{HEAD}steps:\n  - {{name: say, on: n1, run: 'echo {{{{ word }}}} {{{{ count + 1 }}}}'}}\n"),
    );
    home.file("a.yaml", "word: from-a\ncount: 5\n");
    home.file("b.yaml", "word: from-b\n");
    let said = |args: &[&str]| {
        let (out, err, code) = run(home.lab(&[&["render", "say", "--driver", "fake"], args].concat()));
        assert_eq!(code, Some(0), "{err}");
        out.lines().find(|l| l.starts_with("echo ")).unwrap().to_owned()
    };
    assert_eq!(said(&[]), "echo hello 2");
    assert_eq!(said(&["-f", "a.yaml"]), "echo from-a 6");
    assert_eq!(said(&["-f", "a.yaml", "-f", "b.yaml"]), "echo from-b 6");
    assert_eq!(said(&["-f", "a.yaml", "--set", "word=mine"]), "echo mine 6");
    home.file("c.yaml", "wrod: x\ncount: many\n");
    for verb in ["validate", "up", "plan"] {
        let (_, err, code) = run(home.lab(&[verb, "-f", "c.yaml"]));
        assert_eq!(code, Some(2), "{err}");
        for part in ["2 problems", "c.yaml:1:1", "did you mean `word`?", "c.yaml:2:8", "`many` is no whole number"] {
            assert!(err.contains(part), "{verb}: {part} in {err}");
        }
    }
    let (_, err, code) = run(home.lab(&["validate", "-f", "gone.yaml"]));
    assert_eq!(code, Some(2), "{err}");
    assert!(err.contains("cannot read gone.yaml"), "{err}");
    let (_, err, _) = run(home.lab(&["validate", "flannel", "--set", "kubernetes="]));
    assert!(err.contains("1 problem\n") && err.contains("--set `kubernetes`: `` is no version"), "{err}");
    let (_, err, _) = run(home.lab(&["validate", "--set", "wrod=x"]));
    assert!(err.contains("did you mean `word`?"), "{err}");
}

#[test]
fn up_remembers_the_values_that_it_was_given() {
    let home = Home::new();
    let text = HEAD.replace("word: {type: string, default: hello}", "word: {type: string}");
    home.file(
        "lab.yaml",
        &format!("{text}steps:\n  - {{name: say, on: n1, run: 'echo {{{{ word }}}} >> $HOME/trace'}}\n"),
    );
    let (_, err, code) = run(home.lab(&["up", "--driver", "fake"]));
    assert_eq!(code, Some(2), "{err}");
    assert!(err.contains("`word` has no default and is not given"), "{err}");
    let up = |args: &[&str]| {
        let (_, err, code) = run(home.lab(&[&["up", "--driver", "fake"], args].concat()));
        assert_eq!(code, Some(0), "{err}");
        std::fs::read_to_string(home.state().join("x/nodes/n1/root/trace")).unwrap()
    };
    assert_eq!(up(&["--set", "word=one"]), "one\n");
    assert_eq!(up(&[]), "one\n", "nothing has changed, so nothing runs");
    assert_eq!(up(&["--set", "word=two"]), "one\ntwo\n");
    let (out, _, _) = run(home.lab(&["render", "say"]));
    assert!(out.contains("echo two"), "{out}");
}

#[test]
fn render_shows_what_runs_and_no_secret() {
    let home = Home::new();
    let steps = "steps:\n  - name: make\n    on: n1\n    run: |\n      echo hush-$((6*7))-hush > \"$LAB_OUTPUTS/word\"\n      echo seen-$((6*7)) > \"$LAB_OUTPUTS/open\"\n    outputs: {word: {secret: true, lifetime: 5m}, open: {}}\n  - name: use\n    unless: test -e {{ node.name }}\n    undo: rm -f {{ node.name }}\n    run: 'echo {{ outputs.make.word | sh }} {{ outputs.make.open }} on {{ node.name }}'\n    check: {description: it is there, run: 'true {{ node.address }}', timeout: 7s}\n  - {name: put, on: n2, template: {to: /etc/x, mode: '0600', content: \"{{ word }}\\n\"}}\n";
    home.file("lab.yaml", &format!("{HEAD}{steps}"));
    let (out, err, code) = run(home.lab(&["render", "use", "--driver", "fake"]));
    assert_eq!(code, Some(0), "{err}");
    for part in [
        "### use on n1: run",
        "### use on n2: run",
        "set -euo pipefail\necho '********' <open of make> on n2\n",
        "test -e n1",
        "# before a second try\nrm -f n1",
        "it is there: tried every 2 s, at most 7 s\ntrue 192.168.20.12",
    ] {
        assert!(out.contains(part), "{part} in {out}");
    }
    assert_eq!(run(home.lab(&["up", "--driver", "fake"])).2, Some(0));
    let (out, _, _) = run(home.lab(&["render", "use", "--node", "n2"]));
    assert!(out.contains("echo '********' seen-42 on n2") && !out.contains("on n1"), "{out}");
    assert!(!out.contains("hush-42"), "{out}");
    let (out, _, _) = run(home.lab(&["render", "put"]));
    assert!(out.contains("# /etc/x, mode 0600, owner root:root\nhello\n"), "{out}");
    let (out, _, _) = run(home.lab(&["render", "make"]));
    assert!(out.contains("# leaves $LAB_OUTPUTS/word, secret, good for 300 s"), "{out}");
    let (_, err, code) = run(home.lab(&["render", "ues"]));
    assert_eq!(code, Some(2));
    assert!(err.contains("it has make, use, put") && err.contains("did you mean `use`?"), "{err}");
    let (_, err, code) = run(home.lab(&["render", "put", "--node", "n1"]));
    assert_eq!(code, Some(2));
    assert!(err.contains("it does not run on n1"), "{err}");
}

#[test]
fn a_composite_step_is_rendered_whole() {
    let home = Home::new();
    let (out, err, code) = run(home.lab(&["render", "join", "--lab", "flannel", "--driver", "fake"]));
    assert_eq!(code, Some(0), "{err}");
    for part in [
        "### join/token on flannel-ctr: run",
        "### join/join on flannel-w2: run",
        "### join/config on flannel-w1: template",
        "    token: \"********\"",
        "caCertHashes: [\"<ca_hash of join/token>\"]",
    ] {
        assert!(out.contains(part), "{part} in {out}");
    }
}

#[test]
fn a_problem_in_a_template_beside_the_lab_file_is_shown_there() {
    let home = Home::new();
    std::fs::create_dir_all(home.path().join("templates/mine")).unwrap();
    home.file(
        "templates/mine/step.yaml",
        "inputs: {a: {type: strnig}}\nsteps:\n  - {name: a, template: {to: /x, from: mine/x.conf}}\n",
    );
    home.file("templates/mine/x.conf", "one\n{{ node.nme }}\n");
    home.file("lab.yaml", &format!("{HEAD}steps:\n  - {{name: own, uses: mine/step, with: {{a: b}}}}\n"));
    let (_, err, code) = run(home.lab(&["validate"]));
    assert_eq!(code, Some(2), "{err}");
    for part in [
        "--> templates/mine/step.yaml:1:20",
        "did you mean `string`?",
        "templates/mine/x.conf:2:4",
        "did you mean `name`?",
    ] {
        assert!(err.contains(part), "{part} in {err}");
    }
}

#[test]
fn a_template_may_take_an_output_apart() {
    let home = Home::new();
    let steps = "steps:\n  - {name: make, on: n1, run: 'echo 4,5 > \"$LAB_OUTPUTS/pair\"', outputs: {pair: {}}}\n  - name: use\n    on: n2\n    run: |\n      echo {{ (outputs.make.pair | split(','))[1] | int + 1 }} > sum\n      {% set parts = outputs.make.pair | split(',') | list %}\n      echo {{ parts[1] }} >> sum\n";
    home.file("lab.yaml", &format!("{HEAD}{steps}"));
    let (_, err, code) = run(home.lab(&["validate"]));
    assert_eq!(code, Some(0), "{err}");
    let (_, err, code) = run(home.lab(&["up", "--driver", "fake"]));
    assert_eq!(code, Some(0), "{err}");
    assert_eq!(std::fs::read_to_string(home.state().join("x/nodes/n2/root/sum")).unwrap(), "6\n5\n");
    home.file("lab.yaml", &format!("{HEAD}{}", steps.replace("echo 4,5", "echo {{ node.nam }}")));
    assert_eq!(run(home.lab(&["validate"])).2, Some(2));
}

#[test]
fn checks_are_read_as_closely_as_steps() {
    let home = Home::new();
    let checks = |script: &str, link: &str| {
        format!("{HEAD}checks:\n  - {{name: one, run: '{script}'}}\n  - {{name: two, link: {{name: '{link}'}}}}\n")
    };
    home.file("lab.yaml", &checks("echo {{ node.adress }}", "{{ nope }}"));
    let (_, err, code) = run(home.lab(&["validate"]));
    assert_eq!(code, Some(2), "{err}");
    for part in ["2 problems", "did you mean `address`?", "`nope` is not defined", "it can name"] {
        assert!(err.contains(part), "{part} in {err}");
    }
    home.file("lab.yaml", &checks("if true; then {{ node.name }}", "eth1"));
    let (_, err, code) = run(home.lab(&["validate"]));
    assert_eq!(code, Some(2), "{err}");
    assert!(err.contains("check `one`, its script") && err.contains("syntax error"), "{err}");
}

#[test]
fn an_image_beside_the_lab_file_is_one_of_the_box_with_more_packages_and_nothing_that_runs_on_the_host() {
    let home = Home::new();
    std::fs::create_dir_all(home.path().join("templates/images")).unwrap();
    home.file("lab.yaml", "lab: x\nimage: mine\nnodes: {n1: {}}\n");
    home.file("templates/images/mine.yaml", "image: mine\nbase: plain\npackages: [nginx-light]\n");
    let (out, err, code) = run(home.lab(&["validate"]));
    assert_eq!((code, out.as_str()), (Some(0), "x: good, 1 nodes, 0 steps\n"), "{err}");
    // Offline nothing is built: the message names what would build it.
    let (_, err, code) = run(home.lab(&["up", "--driver", "container", "--offline"]));
    assert!(code == Some(3) || err.contains("lab image build") && err.contains("lab.yaml"), "{err}");
    for more in ["suite: trixie", "run: id", "files: {/etc/x: {content: y}}"] {
        home.file("templates/images/mine.yaml", &format!("image: mine\nbase: plain\npackages: [a-b]\n{more}\n"));
        let (_, err, code) = run(home.lab(&["validate"]));
        assert!(
            code == Some(2) && err.contains("allowed in an image of a lab's folder: base, image, packages"),
            "{more}: {err}"
        );
    }
    home.file("lab.yaml", "lab: x\nimage: other\nnodes: {n1: {}}\n");
    let (_, err, code) = run(home.lab(&["validate"]));
    assert_eq!(code, Some(2), "{err}");
    assert!(err.contains("there is no image `other`") && err.contains("mine"), "{err}");
}

#[test]
fn the_schema_is_printed_for_editors() {
    let home = Home::new();
    for (kind, key) in [("lab", "nodes"), ("composite", "inputs"), ("probe", "run")] {
        let (out, err, code) = run(home.lab(&["schema", kind]));
        assert_eq!(code, Some(0), "{err}");
        let printed: Json = serde_json::from_str(&out).unwrap();
        assert!(printed["properties"][key]["description"].is_string(), "{kind}");
    }
    let (out, _, _) = run(home.lab(&["schema"]));
    assert_eq!(serde_json::from_str::<Json>(&out).unwrap(), schema(File::Lab));
}

#[test]
fn a_lab_that_was_made_from_a_file_is_that_files_also_where_the_box_has_its_name() {
    let home = Home::new();
    std::fs::create_dir(home.path().join("mine")).unwrap();
    home.file(
        "mine/mine.yaml",
        &format!("{HEAD}steps: [{{name: own, run: 'true'}}]\n").replace("lab: x", "lab: two-nodes"),
    );
    assert_eq!(run(home.lab(&["up", "mine/mine.yaml", "--driver", "fake"])).2, Some(0));
    let (out, err, code) = run(home.lab(&["plan", "two-nodes"]));
    assert!(code == Some(0) && out.contains("own") && out.contains("0 of 4 tasks"), "{out}{err}");
    assert_eq!(run(home.lab(&["up", "two-nodes"])).2, Some(0));
}
