//! Where a lab's secrets are on the host, the nodes' disks apart: each in its own file, which only the user can read.

use crate::support::{Home, run};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

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
      printf 'uno-%s\ndue-%s\n' "$((6*7))-part" "$((7*7))-part" | tee "$LAB_OUTPUTS/config"
      echo tacit-$((6*7)) > "$LAB_OUTPUTS/word"
      cat "$LAB_OUTPUTS/word" >&2
    outputs: {word: {secret: true}, config: {secret: true}}
  - name: use
    on: n2
    unless: 'echo {{ outputs.make.word }}; echo {{ outputs.make.config | sh }}; false'
    undo: 'echo {{ outputs.make.word }}'
    run: 'echo {{ outputs.make.word }}; printf %s {{ outputs.make.config | sh }}; until test -e "$HOME/go"; do sleep 0.02; done'
  - name: see
    on: n2
    check: {description: it fails and says the word, timeout: 1s, every: 1s, run: 'echo {{ outputs.make.word }}; echo {{ outputs.make.config | sh }} >&2; false'}
"#;

/// Every file and folder of the lab's, the nodes' disks apart.
fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.ends_with("nodes/n1") || path.ends_with("nodes/n2") {
            continue;
        }
        if path.is_dir() {
            walk(&path, found);
        }
        found.push(path);
    }
}

/// What every process on the host shows of itself; the test's own excepted.
fn processes() -> String {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|e| e.file_name().to_str()?.parse::<u32>().ok());
    let pids = pids.filter(|pid| *pid != std::process::id());
    let read = |pid, file| std::fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
    pids.map(|pid| String::from_utf8_lossy(&[read(pid, "cmdline"), read(pid, "environ")].concat()).into_owned())
        .collect()
}

#[test]
fn every_secret_is_in_its_own_file_and_nowhere_else() {
    let home = Home::new();
    home.file("lab.yaml", LAB);
    let mut child = Command::new(assert_cmd::cargo::cargo_bin("lab"))
        .args(["-v", "up", "--driver", "fake"])
        .current_dir(home.path())
        .env("LAB_STATE_DIR", home.state())
        .env("LAB_RUN_DIR", home.path().join("run"))
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(home.path().join("said")).unwrap())
        .spawn()
        .unwrap();
    let journal = home.state().join("x/journal");
    while !std::fs::read_to_string(&journal).unwrap_or_default().contains("use@n2") {
        std::thread::yield_now();
    }
    let secrets = |home: &Home| {
        let text = std::fs::read(home.state().join("x/lab.json")).unwrap();
        let record: serde_json::Value = serde_json::from_slice(&text).unwrap();
        let line = |key: &serde_json::Value| key["private"].as_str().unwrap().lines().nth(2).unwrap().to_owned();
        let keys = [&record["login"], &record["host_keys"]["n1"], &record["host_keys"]["n2"]].map(line);
        keys.into_iter().chain(["tacit-42", "uno-42-part", "due-49-part"].map(str::to_owned)).collect::<Vec<_>>()
    };
    // While the step runs, and until its script is on its way to the node.
    let root = home.state().join("x/nodes/n2/root");
    while !home.state().join("x/nodes/n2/run").exists() {
        std::thread::yield_now();
    }
    let shown = processes();
    for secret in secrets(&home) {
        assert!(!shown.contains(&secret), "{secret} is in an argument or an environment");
    }
    std::fs::write(root.join("go"), "").unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1));
    let mut found = Vec::new();
    walk(&home.state(), &mut found);
    walk(&home.path().join("run"), &mut found);
    assert!(found.len() > 10);
    for path in &found {
        let mode = std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        if path.is_dir() {
            assert_eq!(mode, 0o700, "{}", path.display());
            continue;
        }
        let text = String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned();
        for secret in secrets(&home).iter().filter(|s| text.contains(*s)) {
            let own = path.ends_with("lab.json") || path.parent().unwrap().ends_with("outputs");
            assert!(own && mode == 0o600, "{secret} is in {} ({mode:o})", path.display());
        }
    }
    let said = std::fs::read_to_string(home.path().join("said")).unwrap();
    assert!(said.contains("it fails and says the word") && said.contains("********"), "{said}");
    for secret in secrets(&home) {
        assert!(!said.contains(&secret), "{secret} in {said}");
    }
    assert_eq!(run(home.lab(&["destroy", "x", "-f"])).2, Some(0));
}
