//! `lab` killed at random instants of an `up`, on nodes that are folders: the next `up` converges, `destroy` leaves
//! nothing. `LAB_KILL_SEEDS=N` runs N seeds of each kind (`LAB_KILL_AFTER=M` passes over M before), `LAB_KILL_SEED=S` only
//! that one, with what it did.

#[path = "../support/kill.rs"]
mod kill;
#[path = "../support/mod.rs"]
mod support;

use kill::{Subject, processes_of, storm};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use support::{Home, run};

/// Lives of each kind where nobody asks for more: `scripts/test` lives a thousand in all.
const FEW: u64 = 25;

const HEAD: &str = "\
lab: k
image: plain
networks: {lan: {kind: host-only, subnet: 192.168.20.0/24}}
nodes:
  n1: {networks: {lan: 192.168.20.11}}
  n2: {networks: {lan: 192.168.20.12}}
steps:
";

/// A step that notices when it runs beside itself, or again without being undone; and a file.
const ALONE: &str = r#"
  - name: alone
    on: n1
    undo: rm -rf "$HOME/one" "$HOME/busy"
    run: |
      mkdir "$HOME/busy" || exit 8
      mkdir "$HOME/one" || exit 9
      echo it is {{ node.name }} > "$HOME/one/name"
      rmdir "$HOME/busy"
    check: {description: it is whole, run: 'grep -qx "it is n1" "$HOME/one/name" && test ! -e "$HOME/busy"', timeout: 5s}
  - {name: file, on: n2, template: {to: /etc/motd, content: "{{ node.name }}\n"}}
"#;

/// A secret that one node makes and another uses.
const SECRET: &str = r#"
  - name: word
    on: n1
    run: echo "hush-$RANDOM-hush" > "$LAB_OUTPUTS/word"
    outputs: {word: {secret: true}}
  - name: use
    on: n2
    unless: 'test -e "$HOME/used"'
    run: printf '%s\n' {{ outputs.word.word | sh }} > "$HOME/used.new"; mv "$HOME/used.new" "$HOME/used"
"#;

fn root(home: &Home, node: &str) -> PathBuf {
    home.state().join("k/nodes").join(node).join("root")
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

fn see(what: &str, is: bool) -> Result<(), String> {
    if is { Ok(()) } else { Err(format!("not so: {what}")) }
}

fn alone(home: &Home) -> Result<(), String> {
    let (n1, n2) = (root(home, "n1"), root(home, "n2"));
    see("the step ran once and whole", text(&n1.join("one/name")) == "it is n1\n" && !n1.join("busy").exists())?;
    see("the file is there", text(&n2.join("etc/motd")) == "n2\n")
}

fn secret(home: &Home) -> Result<(), String> {
    let used = text(&root(home, "n2").join("used"));
    see("the secret came over", used.starts_with("hush-") && used.ends_with("-hush\n"))?;
    let kept = ["journal", "ledger", "lab.json"].map(|name| text(&home.state().join("k").join(name)));
    see("the secret is in no record", !kept.concat().contains(used.trim()))
}

/// What a lab on folders runs: its steps, which are the host's processes.
fn steps(home: &Home) -> Vec<(String, i32)> {
    let of_lab = |line: &String| line.contains(&format!("{} ", assert_cmd::cargo::cargo_bin("lab").display()));
    let parsed = |line: String| {
        let (pid, program) = line.strip_prefix("process ")?.split_once(": ")?;
        Some((program.chars().take(60).collect(), pid.parse().ok()?))
    };
    processes_of(home).into_iter().filter(|line| !of_lab(line)).filter_map(parsed).collect()
}

fn killed(steps_of: &str, seeds: std::ops::Range<u64>, converged: &(dyn Fn(&Home) -> Result<(), String> + Sync)) {
    let begin = |home: &Home| drop(home.file("lab.yaml", &format!("{HEAD}{steps_of}")));
    let subject = Subject {
        up: &["-v", "up", "lab.yaml", "--driver", "fake"],
        destroy: &["destroy", "k", "-f"],
        own_cache: true,
        begin: &begin,
        converged,
        victims: &steps,
        leftovers: &processes_of,
    };
    storm(&subject, seeds, FEW, 8);
}

#[test]
fn killed_anywhere_it_converges_and_destroyed_it_leaves_nothing() {
    killed(ALONE, 0..500, &alone);
}

#[test]
fn killed_anywhere_a_secret_comes_over_and_stays_one() {
    killed(SECRET, 500..1000, &secret);
}

/// The identity of a process that was recorded, and whose number somebody else has by now.
#[test]
fn a_recycled_process_number_is_nobodys_to_kill() {
    let home = Home::new();
    home.file("lab.yaml", &format!("{HEAD}{ALONE}"));
    assert_eq!(run(home.lab(&["up", "--driver", "fake"])).2, Some(0));
    let mut other = std::process::Command::new("sleep").arg("600").process_group(0).spawn().unwrap();
    let wrong = format!(r#"{{"pid":{},"start":1}}"#, other.id());
    let node = home.state().join("k/nodes/n1");
    // Wherever a process is recorded: by the drivers, by the switch, by a script's unit.
    for name in ["process.json", "pid"] {
        std::fs::write(node.join(name), &wrong).unwrap();
    }
    let run_dir = std::fs::read_dir(home.path().join("run")).unwrap().next().unwrap().unwrap().path();
    std::fs::write(run_dir.join("switch.json"), format!(r#"{{"process":{wrong},"networks":["lan"]}}"#)).unwrap();
    let units = std::fs::read_dir(node.join("run")).unwrap().flatten().map(|e| e.path()).filter(|p| p.is_dir());
    for unit in units {
        std::fs::write(unit.join("pid"), format!("{} 1\n", other.id())).unwrap();
    }
    // The step that runs again ends what runs under its name.
    home.file("lab.yaml", &format!("{HEAD}{ALONE}").replace("mkdir \"$HOME/one\"", "mkdir  \"$HOME/one\""));
    let (_, err, code) = run(home.lab(&["up", "--driver", "fake"]));
    assert_eq!(code, Some(0), "{err}");
    // The record is lost too: every driver looks for what it may have made.
    std::fs::write(home.state().join("k/lab.json"), "{").unwrap();
    std::fs::remove_file(home.state().join("k/ledger")).unwrap();
    let (out, err, code) = run(home.lab(&["destroy", "k", "-f"]));
    assert_eq!(code, Some(0), "{err}");
    assert!(out.starts_with("k: destroyed (n1, n2)"), "{out}");
    assert_eq!(other.try_wait().unwrap(), None, "it was killed");
    other.kill().unwrap();
    other.wait().unwrap();
}

#[test]
fn destroy_works_from_the_ledger_alone_twice_and_says_what_it_removed() {
    let home = Home::new();
    let steps = ALONE.replace("rmdir \"$HOME/busy\"\n", "exec sleep 600\n");
    home.file("lab.yaml", &format!("{HEAD}{steps}"));
    let mut up = home.lab(&["up", "--driver", "fake"]);
    let up = std::thread::spawn(move || up.timeout(std::time::Duration::from_secs(60)).output().unwrap());
    while !home.state().join("k/nodes/n1/root/one/name").exists() {
        std::thread::yield_now();
    }
    let lab = processes_of(&home).into_iter().find(|p| p.contains("up --driver fake")).unwrap();
    let pid: i32 = lab.split_whitespace().nth(1).unwrap().trim_end_matches(':').parse().unwrap();
    rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), rustix::process::Signal::KILL).unwrap();
    up.join().unwrap();
    assert!(!processes_of(&home).is_empty(), "the step goes on");
    for name in ["lab.yaml", "state/k/lab.json", "state/k/journal"] {
        std::fs::remove_file(home.path().join(name)).unwrap();
    }
    let (out, err, code) = run(home.lab(&["destroy", "k", "-f"]));
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("destroyed (n1, n2)") && out.contains("state/k (") && out.contains("/run/"), "{out}");
    assert_eq!(processes_of(&home), [""; 0]);
    let (out, _, code) = run(home.lab(&["destroy", "k", "-f"]));
    assert_eq!((out.as_str(), code), ("k: nothing to destroy\n", Some(0)));
}
