//! Every error screen that a user meets often, as it is, so that a change of one is seen and read.

use crate::support::{Home, run};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

const LAB: &str = "\
lab: x
title: A lab
image: plain
values: {word: {type: string, default: hello}}
networks: {lan: {kind: host-only, subnet: 192.168.20.0/24}}
nodes:
  n1: {networks: {lan: 192.168.20.11}}
  n2: {networks: {lan: 192.168.20.12}}
";

const STEPS: &str = "steps:\n  - {name: hello, run: echo hello}\n  - {observe: before}\n  - {name: bye, on: n1, run: echo bye}\nchapters:\n  - {name: first, until: hello, text: One.}\n  - {name: last, text: Two.}\n";

const MISTAKES: &str = "\
lab: x
image: plain
values: {word: {type: string, default: hello}, count: {type: int, default: many}}
networks: {lan: {kind: host-only, subnet: 192.168.20.1/24}}
nodes:
  n1: {memroy: 1GiB, networks: {lan: 192.168.20.11}}
  n2: {memory: much, networks: {lam: 192.168.20.12}}
steps:
  - {name: hello, on: n3, run: 'echo {{ wrod }}'}
  - {name: both, run: 'true', upload: {from: a, to: /b}}
  - {name: late, needs: helo, uses: kubeadm/jion}
  - {name: hello, run: 'echo \"again'}
";

/// The screens that were seen so far.
struct Screens<'a> {
    home: &'a Home,
    text: String,
}

impl Screens<'_> {
    fn heading(&mut self, words: &str) {
        self.text += &format!("\n## {words}\n");
    }

    /// What a command says when it fails; it must fail.
    fn fails(&mut self, args: &[&str]) {
        self.fails_with(args, None);
    }

    fn fails_with(&mut self, args: &[&str], path: Option<&Path>) {
        let mut lab = self.home.lab(args);
        lab.env("HOME", self.home.path()).env_remove("KUBECONFIG");
        if let Some(path) = path {
            lab.env("PATH", path);
        }
        let (_, err, code) = run(lab);
        assert_ne!(code, Some(0), "{args:?}");
        // Progress lines have times.
        let timed = |l: &&str| l.trim_start().split_once("s  ").is_some_and(|(t, _)| t.parse::<f64>().is_ok());
        let shown: Vec<&str> = err.lines().filter(|l| !timed(l)).collect();
        let word = |w: &&str| if w.contains([' ', '\'']) { format!("'{w}'") } else { (*w).to_owned() };
        let words: Vec<String> = args.iter().map(word).collect();
        let text = format!("\n$ lab {}\n{}\nexit code {}\n", words.join(" "), shown.join("\n"), code.unwrap());
        let canonical = self.home.path().canonicalize().unwrap();
        let text = text.replace(canonical.to_str().unwrap(), "/home/student");
        self.text += &text.replace(self.home.path().to_str().unwrap(), "/home/student");
    }

    fn succeeds(&mut self, args: &[&str]) {
        let (_, err, code) = run(self.home.lab(args));
        assert_eq!(code, Some(0), "{args:?}: {err}");
    }
}

#[test]
fn error_screens_are_as_reviewed() {
    let home = Home::new();
    let text =
        String::from("# What a user sees of mistakes and failures; UPDATE_SCREENS=1 writes it, and it is read.\n");
    let mut screens = Screens { home: &home, text };
    which_lab(&mut screens);
    lab_files(&mut screens);
    the_host(&mut screens);
    names(&mut screens);
    runs(&mut screens);
    locked(&mut screens);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/errors.txt");
    if std::env::var_os("UPDATE_SCREENS").is_some() {
        std::fs::write(&path, &screens.text).unwrap();
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    let all = screens.text;
    assert!(there == all, "tests/cli/errors.txt is stale: UPDATE_SCREENS=1 cargo test --test cli errors, and read it");
}

fn which_lab(screens: &mut Screens) {
    screens.heading("Which lab");
    screens.fails(&["up"]);
    screens.fails(&["status"]);
    screens.fails(&["status", "flannel"]);
    screens.fails(&["status", "flanel"]);
    screens.fails(&["up", "flanell"]);
    screens.fails(&["up", "./my-lab.yaml"]);
    screens.fails(&["ssh", "n1"]);
    screens.fails(&["kubectl", "get", "nodes"]);
    screens.fails(&["stauts"]);
    screens.fails(&["frobnicate"]);
    screens.fails(&["up", "--drivr", "qemu"]);
    screens.fails(&["up", "--driver", "virtualbox"]);
    screens.fails(&["ssh"]);
}

fn lab_files(screens: &mut Screens) {
    screens.heading("A lab file");
    screens.home.file("lab.yaml", "lab: x\nnodes:\n  n1: {networks: {lan: 192.168.20.11}\nsteps: []\n");
    screens.fails(&["validate"]);
    screens.home.file("lab.yaml", MISTAKES);
    screens.fails(&["validate"]);
    screens.home.file("lab.yaml", "nodes: {}\n");
    screens.fails(&["up"]);
    screens.home.file("lab.yaml", &format!("{LAB}{STEPS}"));
    screens.fails(&["validate", "--set", "wrod=x"]);
    screens.fails(&["validate", "--set", "word"]);
    screens.fails(&["validate", "-f", "values.yaml"]);
    screens.home.file("values.yaml", "wrod: x\nword: {a: b}\n");
    screens.fails(&["validate", "-f", "values.yaml"]);
    screens.fails(&["init", "other"]);
    screens.fails(&["init", "Other", "--force"]);
    screens.fails(&["init", "other", "--force", "--from", "flanel"]);
    screens.fails(&["render", "helo"]);
    screens.fails(&["render", "hello", "--node", "n3"]);
    screens.fails(&["up", "--to", "bey"]);
    screens.fails(&["up", "--only", "n3"]);
    screens.fails(&["chapters", "frist"]);
    screens.fails(&["next"]);
}

fn the_host(screens: &mut Screens) {
    screens.heading("The host");
    let bare = screens.home.path().to_owned();
    screens.fails_with(&["up", "two-nodes", "--driver", "qemu"], Some(&bare));
    // How it is installed depends on the host.
    let (head, command) = screens.text.rsplit_once("is not installed\n    ").unwrap();
    let rest = command.split_once('\n').unwrap().1;
    screens.text = format!("{head}is not installed\n    COMMAND\n{rest}");
    screens.fails(&["image", "build", "plane"]);
    screens.fails(&["bundle", "show"]);
}

fn names(screens: &mut Screens) {
    screens.heading("Names of a lab that is up");
    screens.succeeds(&["up", "--driver", "fake"]);
    screens.fails(&["ssh", "n3"]);
    screens.fails(&["ssh", "n1", "--lab", "y"]);
    screens.fails(&["cp", "a", "b"]);
    screens.fails(&["cp", "a", "n1:"]);
    screens.fails(&["cp", "n1:a", "."]);
    screens.fails(&["logs", "--step", "helo"]);
    screens.fails(&["logs", "--node", "n3"]);
    screens.fails(&["forward", "n1", "x"]);
    screens.fails(&["forward", "n1", "pod/curl-pod"]);
    screens.fails(&["forward", "x", "8080:80"]);
    screens.fails(&["forward", "n1", ":service/webpod"]);
    screens.fails(&["kubeconfig"]);
    screens.fails(&["observe", "n3"]);
    screens.fails(&["diff", "befoer"]);
    screens.fails(&["explain", "service", "webpod"]);
    screens.fails(&["explain", "pod", "a", "to"]);
    screens.fails(&["explain", "route", "n1", "webpod"]);
    screens.fails(&["check"]);
    screens.fails(&["report", "--html", "r.html"]);
    screens.fails(&["destroy"]);
    screens.fails(&["up", "--driver", "qemu"]);
    screens.home.file("lab.yaml", &format!("{LAB}  n3: {{networks: {{lan: 192.168.20.13}}}}\n{STEPS}"));
    screens.fails(&["up"]);
    let two = format!("{LAB}{STEPS}").replace("lab: x", "lab: y");
    screens.home.file("other.yaml", &two);
    screens.succeeds(&["up", "other.yaml", "--driver", "fake"]);
    std::fs::remove_file(screens.home.path().join("lab.yaml")).unwrap();
    screens.fails(&["status"]);
    screens.fails(&["ssh", "n1"]);
    screens.fails(&["destroy", "--all"]);
    screens.succeeds(&["destroy", "y", "-f"]);
    screens.home.file("lab.yaml", &format!("{LAB}{STEPS}"));
    screens.succeeds(&["halt"]);
    screens.fails(&["ssh", "n1"]);
}

fn runs(screens: &mut Screens) {
    screens.heading("A run that fails");
    let step = |screens: &mut Screens, step: &str| {
        screens.home.file("lab.yaml", &format!("{LAB}steps:\n  - {step}\n"));
        screens.fails(&["up"]);
    };
    step(screens, "{name: broken, on: n1, hint: is the file there?, run: 'echo begun; echo no such file >&2; exit 7'}");
    step(screens, "{name: slow, on: n1, timeout: 1s, run: 'until test -e $HOME/go; do sleep 0.1; done'}");
    step(
        screens,
        "{name: ready, on: n2, wait: {description: the file is there, hint: make it, every: 1s, timeout: 1s, run: 'echo not yet; test -e $HOME/file'}}",
    );
    step(
        screens,
        "{name: made, on: n1, run: 'true', check: {description: it was made, every: 1s, timeout: 1s, run: 'false'}}",
    );
    step(screens, "{name: undone, on: n1, undo: 'echo cannot >&2; exit 3', run: 'false'}");
    step(screens, "{name: undone, on: n1, undo: 'echo cannot >&2; exit 3', run: 'false'}");
    step(screens, "{name: mute, on: n1, run: 'true', outputs: {word: {}}}");
    let checks = "steps: []\nchecks:\n  - {name: lo is there, link: {name: lo}}\n  - {name: a file is there, on: n2, run: 'echo looking; test -e $HOME/made', hint: make it}\n";
    screens.home.file("lab.yaml", &format!("{LAB}{checks}"));
    screens.fails(&["up"]);
}

fn locked(screens: &mut Screens) {
    screens.heading("A lab that somebody works on");
    screens.home.file(
        "lab.yaml",
        &format!("{LAB}steps:\n  - {{name: long, on: n1, run: 'until test -e $HOME/go; do sleep 0.05; done'}}\n"),
    );
    let mut up = Command::new(assert_cmd::cargo::cargo_bin("lab"));
    up.arg("up").current_dir(screens.home.path()).stderr(Stdio::piped()).stdout(Stdio::null());
    for (name, value) in screens.home.lab(&[]).get_envs() {
        up.env(name, value.unwrap());
    }
    let mut up = up.spawn().unwrap();
    let mut lines = BufReader::new(up.stderr.take().unwrap()).lines();
    lines.find(|l| l.as_ref().unwrap().contains("long ...")).unwrap().unwrap();
    screens.fails(&["halt"]);
    screens.text = screens.text.replace(&format!("process {}", up.id()), "process 4711");
    let bin = assert_cmd::cargo::cargo_bin("lab");
    screens.text = screens.text.replace(bin.to_str().unwrap(), "lab");
    std::fs::write(screens.home.state().join("x/nodes/n1/root/go"), "").unwrap();
    assert!(up.wait().unwrap().success());
}
