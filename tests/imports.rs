//! The direction of imports, as CONTRIBUTING.md draws it: what each room may name of the others, and what only one may.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What a room may import from this crate. `commands` and `main` wire everything.
fn allowed() -> BTreeMap<&'static str, Vec<&'static str>> {
    let bottom = ["error", "event", "paths", "yaml", "template"];
    let with = |more: &[&'static str]| bottom.iter().chain(more).copied().collect::<Vec<_>>();
    BTreeMap::from([
        ("error", vec![]),
        ("event", vec![]),
        ("paths", vec!["error"]),
        ("yaml", vec![]),
        ("template", vec![]),
        ("embedded", with(&["state"])),
        ("kubeconfig", with(&[])),
        ("lab", with(&["seed"])),
        ("seed", with(&["lab"])),
        ("state", with(&["lab", "driver", "ssh"])),
        ("ssh", with(&["lab"])),
        ("network", with(&["lab", "state"])),
        ("bundle", with(&["lab", "state"])),
        ("image", with(&["lab", "state", "bundle"])),
        ("observe", with(&["lab"])),
        ("plan", with(&["lab", "state", "driver"])),
        ("driver", with(&["lab", "state", "seed", "image", "network", "ssh", "executor"])),
        ("executor", with(&["lab", "plan", "driver", "ssh", "state", "observe"])),
        ("export", with(&["lab"])),
        ("ui", with(&["observe"])),
        ("report", with(&["observe", "lab"])),
        // Completions are what there is.
        ("cli", vec!["embedded", "paths", "state"]),
    ])
}

/// Words that may stand in few rooms only, with the rooms.
const NARROW: [(&str, &[&str]); 8] = [
    ("saphyr_parser", &["yaml"]),
    ("minijinja", &["template"]),
    ("russh", &["ssh"]),
    ("indicatif", &["ui"]),
    ("oci_spec", &["bundle", "driver"]),
    ("include_dir", &["embedded"]),
    ("clap", &["cli"]),
    ("qemu-system", &["driver"]),
];

/// Kubernetes is data: these words stand nowhere in `src/` but where observations are explained.
const KUBERNETES: [&str; 4] = ["kubeadm", "kubelet", "kubectl", "helm"];

struct Source {
    room: String,
    path: PathBuf,
    /// Without comments and without tests.
    code: String,
}

fn sources(dir: &Path, found: &mut Vec<Source>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs" || e == "sh")
            && !path.ends_with("tests.rs")
            && !path.to_string_lossy().ends_with("_tests.rs")
        {
            let text = std::fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            let code: String =
                code.lines().filter(|l| !l.trim_start().starts_with("//")).map(|l| format!("{l}\n")).collect();
            let below = path.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).unwrap();
            let first = below.components().next().unwrap().as_os_str().to_string_lossy();
            let room = first.trim_end_matches(".rs").to_owned();
            found.push(Source { room, path, code });
        }
    }
}

fn all() -> Vec<Source> {
    let mut found = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    assert!(found.len() > 40, "the sources were found");
    found
}

#[test]
fn imports_go_one_way() {
    let allowed = allowed();
    let mut wrong = Vec::new();
    for source in all() {
        let Some(may) = allowed.get(source.room.as_str()) else { continue };
        for part in source.code.split("crate::").skip(1) {
            let room: String = part.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            if room != source.room && !may.contains(&room.as_str()) {
                wrong.push(format!("{}: {} imports {room}", source.path.display(), source.room));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_room_is_in_the_drawing() {
    let allowed = allowed();
    let wiring = ["lib", "main", "commands"];
    for source in all() {
        assert!(
            allowed.contains_key(source.room.as_str()) || wiring.contains(&source.room.as_str()),
            "{}",
            source.room
        );
    }
}

#[test]
fn narrow_crates_and_words_stay_in_their_room() {
    let mut wrong = Vec::new();
    for source in all() {
        for (word, rooms) in NARROW {
            let main = word == "clap" && source.room == "main";
            if source.code.contains(word) && !rooms.contains(&source.room.as_str()) && !main {
                wrong.push(format!("{}: {word} belongs to {}", source.path.display(), rooms.join(", ")));
            }
        }
        for word in KUBERNETES {
            if source.room != "observe" && source.code.to_lowercase().contains(word) {
                wrong.push(format!("{}: {word} is data, not code", source.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn pure_rooms_do_no_io_and_no_async() {
    for source in all()
        .iter()
        .filter(|s| ["lab", "plan", "observe", "report", "yaml", "template", "kubeconfig"].contains(&s.room.as_str()))
    {
        for word in ["std::fs", "std::process", "std::net::Tcp", "tokio", "async fn", "println!", "std::env::var"] {
            assert!(!source.code.contains(word), "{}: {word}", source.path.display());
        }
    }
}

#[test]
fn nothing_below_commands_prints() {
    for source in all().iter().filter(|s| !["commands", "main", "ui"].contains(&s.room.as_str())) {
        for word in ["println!", "print!(", "dbg!"] {
            assert!(!source.code.contains(word), "{}: {word}", source.path.display());
        }
    }
}
