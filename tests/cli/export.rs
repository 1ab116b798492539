//! The lab for Vagrant: fresh in this repository, the lab's own texts, and its scripts really run.

use crate::support::{Home, run};
use lab::executor::{scope_of, scope_of_node};
use lab::lab::check::Expect;
use lab::lab::resolve::{Beside, Sources, resolve_with};
use lab::lab::{model::Action, rendered};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files below a folder, by their paths in it.
fn files(dir: &Path) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(dir).unwrap().display().to_string();
                all.insert(name, std::fs::read_to_string(path).unwrap());
            }
        }
    }
    all
}

#[test]
fn the_vagrant_folder_of_this_repository_is_fresh() {
    let home = Home::new();
    let (_, err, code) = run(home.lab(&["export", "vagrant", "flannel", "--to", "v"]));
    assert_eq!(code, Some(0), "{err}");
    let (fresh, kept) = (files(&home.path().join("v")), files(&root().join("vagrant")));
    let names = |all: &BTreeMap<String, String>| all.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&fresh), names(&kept), "cargo run -- export vagrant flannel");
    for (name, text) in fresh {
        assert!(kept[&name] == text, "vagrant/{name} is stale: cargo run -- export vagrant flannel");
    }
}

#[test]
fn its_steps_are_the_labs_own() {
    let text = std::fs::read_to_string(root().join("labs/flannel.yaml")).unwrap();
    let beside = Beside { templates: lab::embedded::template_paths(), ..Beside::default() };
    let library = lab::embedded::template;
    let sources = Sources { name: "flannel", text: &text, library: &library, set: &BTreeMap::new() };
    let lab = resolve_with(&sources, &beside).unwrap();
    let facts = lab::driver::Facts {
        name: "vagrant".into(),
        description: "a virtual machine".into(),
        slowness: 1,
        emulated: false,
        nested_kernel: false,
        oom_adjust: true,
        cgroup_v1: false,
    };
    let kept = files(&root().join("vagrant/steps"));
    let runs = std::fs::read_to_string(root().join("vagrant/run")).unwrap();
    let mut seen = 0;
    for (index, step) in lab.steps.iter().enumerate() {
        for node in &step.on {
            let mut scope = scope_of(&lab, step, node, &facts, &[], Path::new("")).scope;
            let mut outputs = serde_json::json!({});
            for producer in &lab.steps[..index] {
                let short = producer.name.rsplit('/').next().unwrap();
                for output in &producer.outputs {
                    let value = format!("@{{{}.{}}}", producer.name.replace('/', "-"), output.name);
                    outputs[short][&output.name] = value.into();
                }
            }
            scope.insert("outputs".into(), outputs);
            let step = rendered(step, &scope).unwrap();
            let name = step.name.replace('/', "-");
            let file = format!("{:03}-{name}.{node}", index + 1);
            let texts: Vec<&String> = match &step.action {
                Action::Run { script } => vec![script],
                Action::File { content, .. } => vec![content],
                Action::Wait { probe } | Action::Check { probe } => vec![&probe.script],
                Action::Observe { name } => {
                    assert!(runs.contains(&format!("\nobserve {name} ")), "{name}");
                    continue;
                }
            };
            let script = &kept[&format!("{file}.sh")];
            let check = step.check.iter().map(|p| &p.script);
            for text in texts.into_iter().chain(&step.unless).chain(&step.undo).chain(check) {
                assert!(
                    script.contains(&format!("<<'LAB_TEXT'\n{}\nLAB_TEXT\n", text.trim_end_matches('\n'))),
                    "{file}"
                );
            }
            assert!(runs.contains(&format!("\nstep {node} {file} {name}")), "{file}");
            seen += 1;
        }
    }
    assert_eq!(seen, kept.len(), "and no others");
    let kept = files(&root().join("vagrant/checks"));
    let mut seen = 0;
    for (index, check) in lab.checks.iter().enumerate() {
        let of_cluster = matches!(check.expect, Expect::Pods(_) | Expect::Service { .. });
        let on = if of_cluster { vec!["flannel-ctr".to_owned()] } else { check.on.clone() };
        for node in on {
            let file = format!("{:03}.{node}", index + 1);
            let script = &kept[&format!("{file}.sh")];
            let expected = match &check.expect {
                Expect::Link { name, kind: Some(kind), mtu: Some(mtu) } => {
                    format!("\nlink '{name}' '{kind}' '{mtu}'\n")
                }
                Expect::Route(route) => {
                    let (count, within) = (route.count.unwrap(), route.within.unwrap());
                    format!("\nroute '{count}' root '{within}' dev '{}'\n", route.dev.as_ref().unwrap())
                }
                Expect::Chain { table, name } => format!("\nchain '{table}' '{name}'\n"),
                Expect::Pods(pods) => format!("\npods 'default' 'app=webpod' {} {} ''\n", pods.ready, pods.nodes),
                Expect::Service { name, requests } => format!("\nservice '{}' {requests}\n", name.replace('/', "' '")),
                Expect::Run { script, timeout } => {
                    let text = lab::template::render(script, &scope_of_node(&lab, &node, &facts)).unwrap();
                    format!("\nscript {timeout} <<'LAB_TEXT'\n{}\nLAB_TEXT\n", text.trim_end_matches('\n'))
                }
                other => panic!("{other:?}"),
            };
            assert!(script.contains(&expected), "{file}: {expected} in {script}");
            assert_eq!(script.contains("export KUBECONFIG='/etc/kubernetes/admin.conf'"), of_cluster, "{file}");
            let name = check.name.replace('\'', "'\\''");
            assert!(runs.contains(&format!("\ncheck {node} {file} '{name}'\n")), "{file}");
            seen += 1;
        }
    }
    assert_eq!(seen, kept.len(), "and no others");
}

#[test]
fn versions_are_those_of_the_bundle() {
    let script = std::fs::read_to_string(root().join("vagrant/image.sh")).unwrap();
    let bundle = std::fs::read_to_string(root().join("bundle/kubernetes.yaml")).unwrap();
    for (name, origin) in [
        ("kubernetes", "k8s.io/kubernetes"),
        ("helm", "helm.sh/helm/v3"),
        ("cni_plugins", "github.com/containernetworking/plugins"),
        ("coredns", "github.com/coredns/coredns"),
        ("etcd", "go.etcd.io/etcd/server/v3"),
    ] {
        let version = script.lines().find_map(|l| l.strip_prefix(&format!("{name}="))).unwrap();
        assert!(bundle.contains(&format!("origin: {origin} {version}")), "{name} {version}");
    }
    assert!(
        script.contains("SystemdCgroup = true") && !script.contains("# lab: file"),
        "the image's own files are in it"
    );
}

#[test]
fn every_script_is_shell() {
    for (name, text) in files(&root().join("vagrant")) {
        if name.ends_with(".sh") || name == "run" {
            let file = root().join("vagrant").join(&name);
            assert!(Command::new("bash").arg("-n").arg(&file).status().unwrap().success(), "{name}");
            let first = name.starts_with("steps/") || name.starts_with("checks/") || name == "capture.sh";
            assert!(first || text.contains("set -euo pipefail"), "{name}");
        }
    }
}

const LAB: &str = r#"
lab: x
image: plain
networks: {lan: {kind: host-only, subnet: 192.168.20.0/24}}
nodes:
  n1: {networks: {lan: 192.168.20.11}}
  n2: {networks: {lan: 192.168.20.12}}
steps:
  - name: make
    on: n1
    run: |
      printf 'a&b $x "q" \\1\n' > "$LAB_OUTPUTS/word"
    outputs: {word: {secret: true}}
  - name: use
    on: n2
    run: |
      printf '%s\n' {{ outputs.make.word | sh }} >> "$LAB_NODE_ROOT/said"
    unless: test -e "$LAB_NODE_ROOT/skip"
    undo: echo undone >> "$LAB_NODE_ROOT/said"
    check: {description: it is said, run: 'test -s "$LAB_NODE_ROOT/said"', every: 1s, timeout: 1s}
  - {name: put, template: {to: /etc/motd, mode: "0600", content: "{{ node.name }}\n"}}
  - {name: proof, on: n2, check: {description: the file is there, run: 'test "$(cat "$LAB_NODE_ROOT/etc/motd")" = n2; test ! -e "$LAB_NODE_ROOT/bad"', every: 1s, timeout: 1s}}
checks:
  - {name: lo is there, link: {name: lo, mtu: 65536}}
  - {name: "it's said", on: n2, run: 'echo looking; test -s "$LAB_NODE_ROOT/said"; test ! -e "$LAB_NODE_ROOT/unsaid"'}
"#;

/// A `vagrant` and an `ssh` whose nodes are folders.
fn programs(home: &Home) -> String {
    let bin = home.path().join("bin");
    std::fs::create_dir_all(&bin).unwrap();
    let ssh = "#!/bin/bash\nwhile [[ $1 == -* ]]; do shift 2; done\nnode=$1; shift 3\nexport LAB_NODE_ROOT=$NODES/$node\nmkdir -p \"$LAB_NODE_ROOT\"\n[ \"$1\" != cat ] || { cat \"$LAB_NODE_ROOT$2\"; exit; }\nexec \"$@\"\n";
    for (name, text) in [("ssh", ssh), ("vagrant", "#!/bin/sh\ntest \"$1\" = ssh-config\n")] {
        std::fs::write(bin.join(name), text).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(bin.join(name), mode).unwrap();
    }
    format!("{}:{}", bin.display(), std::env::var("PATH").unwrap())
}

#[test]
fn the_exported_steps_run_as_the_lab_says() {
    let home = Home::new();
    home.file("lab.yaml", LAB);
    let (out, err, code) = run(home.lab(&["export", "vagrant", "--to", "v"]));
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("cd v && vagrant up && ./run"), "{out}");
    let path = programs(&home);
    let go = || {
        let mut command = Command::new(home.path().join("v/run"));
        let output = command.env("PATH", &path).env("NODES", home.path().join("nodes")).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (text(output.stdout), text(output.stderr), output.status.success())
    };
    let node = |file: &str| std::fs::read_to_string(home.path().join("nodes/n2").join(file)).unwrap_or_default();
    std::fs::create_dir_all(home.path().join("nodes/n2")).unwrap();
    std::fs::write(home.path().join("nodes/n2/bad"), "").unwrap();
    let (out, err, good) = go();
    assert!(!good && err.contains("not within 1 s: the file is there"), "{out}{err}");
    assert_eq!(node("said"), "a&b $x \"q\" \\1\n");
    assert_eq!(node("etc/motd"), "n2\n");
    std::fs::remove_file(home.path().join("nodes/n2/bad")).unwrap();
    let (out, err, good) = go();
    assert!(good, "{out}{err}");
    assert_eq!(node("said"), "a&b $x \"q\" \\1\n", "what is done is not done again");
    assert!(out.contains("== use on n2\ndone before\n"), "{out}");
    std::fs::remove_file(home.path().join("nodes/n2/var/lib/lab/use.done")).unwrap();
    assert!(out.contains("PASS  lo is there (n1)\n") && out.contains("PASS  it's said (n2)\n"), "{out}");
    std::fs::write(home.path().join("nodes/n2/unsaid"), "").unwrap();
    let (out, err, good) = go();
    assert!(!good && err.contains("1 of 3 checks do not hold"), "{out}{err}");
    assert!(out.contains("FAIL  it's said (n2)\n      looking\n"), "{out}");
    std::fs::remove_file(home.path().join("nodes/n2/unsaid")).unwrap();
    assert!(go().2);
    assert_eq!(node("said"), "a&b $x \"q\" \\1\nundone\na&b $x \"q\" \\1\n", "a second try is undone first");
    home.file("v/Vagrantfile", "somebody else's");
    let (_, err, code) = run(home.lab(&["export", "vagrant", "--to", "v"]));
    assert_eq!(code, Some(2), "{err}");
    assert!(err.contains("somebody else"), "{err}");
}
