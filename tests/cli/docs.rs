//! Every command block in docs/ runs or says why not, every lab file there is good, and what is generated is fresh.

use crate::support::{Home, run};
use clap::CommandFactory;
use std::path::{Path, PathBuf};

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs")
}

/// A fenced block: its language, its text, and the comment above it.
struct Block {
    language: String,
    text: String,
    not_run: bool,
    line: usize,
}

fn blocks(text: &str) -> Vec<Block> {
    let mut all = Vec::new();
    let mut above = "";
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        if let Some(language) = line.strip_prefix("```") {
            let inside: Vec<&str> = lines.by_ref().map(|(_, l)| l).take_while(|l| *l != "```").collect();
            let text = inside.iter().map(|l| format!("{l}\n")).collect();
            let not_run = above.starts_with("<!-- not run: ");
            all.push(Block { language: language.to_owned(), text, not_run, line: number + 1 });
        }
        above = line;
    }
    all
}

fn pages() -> Vec<(String, String)> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(docs()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "md") {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            all.push((name, std::fs::read_to_string(path).unwrap()));
        }
    }
    assert!(all.len() >= 5, "the pages were found");
    all
}

/// A shell whose `lab` is this one, on nodes that are folders.
fn shell(home: &Home, script: &str) -> (String, String, Option<i32>) {
    let bin = home.path().join("bin");
    std::fs::create_dir_all(&bin).unwrap();
    let real = home.lab(&[]).get_program().to_owned();
    let wrapper = format!(
        "#!/bin/sh\ncase $1 in up|plan|render) exec '{0}' \"$@\" --driver fake ;; esac\nexec '{0}' \"$@\"\n",
        real.display()
    );
    std::fs::write(bin.join("lab"), wrapper).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(bin.join("lab"), mode).unwrap();
    let lab = home.lab(&[]);
    let mut command = assert_cmd::Command::new("bash");
    for (name, value) in lab.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    command.args(["-euo", "pipefail", "-c", script]).env("PATH", path).current_dir(home.path().join("here"));
    run(command)
}

#[test]
fn every_command_block_runs_or_says_why_not() {
    let mut ran = 0;
    for (page, text) in pages() {
        let home = Home::new();
        std::fs::create_dir_all(home.path().join("here")).unwrap();
        for block in blocks(&text) {
            assert!(["sh", "yaml", "text"].contains(&block.language.as_str()), "docs/{page}:{}", block.line);
            if block.language == "yaml" && block.text.starts_with("lab: ") {
                home.file("block.yaml", &block.text);
                let (_, err, code) = run(home.lab(&["validate", "block.yaml"]));
                assert_eq!(code, Some(0), "docs/{page}:{}: {err}", block.line);
            }
            if block.language == "sh" && !block.not_run {
                // A block that begins a lab begins in an empty folder.
                if block.text.starts_with("lab init") {
                    let _ = std::fs::remove_file(home.path().join("here/lab.yaml"));
                }
                let (out, err, code) = shell(&home, &block.text);
                assert_eq!(code, Some(0), "docs/{page}:{}:\n{out}{err}", block.line);
                ran += 1;
            }
        }
    }
    assert!(ran >= 8, "{ran} blocks ran");
}

/// Compares a generated page with what is there; `UPDATE_DOCS=1` writes it.
fn fresh(name: &str, text: &str) {
    let path = docs().join(name);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(there == text, "docs/{name} is stale: UPDATE_DOCS=1 cargo test --test cli docs");
}

#[test]
fn the_reference_is_fresh() {
    fresh("reference.md", &lab::lab::schema::page());
}

#[test]
fn the_page_of_verbs_is_fresh() {
    let mut command = lab::cli::Cli::command().term_width(100);
    command.build();
    let mut out = String::from("# Verbs\n\nMade from the program itself; `lab VERB --help` says the same.\n");
    section(&mut command, "lab", &mut out);
    out += "\n## Exit codes\n\n| code | means |\n| --- | --- |\n| 0 | done |\n| 1 | something that was tried failed |\n\
            | 2 | your input is wrong: arguments, names, lab file |\n| 3 | the host lacks something; nothing was changed |\n\
            | 130 | interrupted; nodes stay, and `lab up` goes on |\n\n`lab ssh` hands on the exit code of what ran on the \
            node.\n";
    fresh("verbs.md", &out);
}

fn section(command: &mut clap::Command, path: &str, out: &mut String) {
    let help = command.render_long_help().to_string();
    let help: String = help.lines().map(|l| format!("{}\n", l.trim_end())).collect();
    *out += &format!("\n## {path}\n\n```text\n{}\n```\n", help.trim_end());
    for inner in command.get_subcommands_mut().filter(|c| !c.is_hide_set()) {
        let path = format!("{path} {}", inner.get_name());
        if path.ends_with(" help") {
            continue;
        }
        section(inner, &path, out);
    }
}

#[test]
fn links_between_pages_lead_somewhere() {
    for (page, text) in pages() {
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = link.split('#').next().unwrap_or_default();
            assert!(file.is_empty() || file.contains("://") || docs().join(file).exists(), "docs/{page}: {link}");
        }
    }
}
