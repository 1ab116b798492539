//! A lab for Vagrant: a Vagrantfile that makes the nodes, and a script that runs the lab's own steps on them.

mod check;
mod machines;
mod step;

pub use check::PlacedCheck;

use super::File;
use crate::lab::model::{Action, Lab, Output, Step};
use crate::template::quote;
use std::fmt::Write;

/// What a lab file exports the cluster's access under.
pub const ACCESS: &str = "kubeconfig";

/// A step as it is on one node, all its texts literal.
pub struct Placed {
    pub step: Step,
    pub node: String,
}

/// What an export is made of.
pub struct Parts<'a> {
    pub lab: &'a Lab,
    /// In the lab file's order.
    pub steps: &'a [Placed],
    /// In the lab file's order.
    pub checks: &'a [PlacedCheck],
    /// What makes a box what the image is.
    pub image: String,
    /// What every step uses on its node.
    pub prelude: String,
    /// What every check uses on its node.
    pub for_checks: String,
    /// The script that captures a node's network.
    pub capture: &'a str,
}

/// What stands for an output in a step's texts until it is known.
pub fn stand_in(step: &str, output: &Output) -> String {
    format!("@{{{}.{}}}", step::safe(step), output.name)
}

/// All files of the export.
pub fn files(parts: &Parts) -> Vec<File> {
    let mut all = vec![
        File::new("Vagrantfile", machines::vagrantfile(parts.lab), 0o644),
        File::new("README.md", machines::readme(parts.lab), 0o644),
        File::new("image.sh", parts.image.clone(), 0o755),
        File::new("nodes.sh", machines::nodes(parts.lab), 0o755),
        File::new("prelude.sh", parts.prelude.clone(), 0o644),
        File::new("checks.sh", parts.for_checks.clone(), 0o644),
        File::new("capture.sh", parts.capture, 0o644),
        File::new("run", run(parts), 0o755),
    ];
    for placed in parts.steps.iter().filter(|p| !matches!(p.step.action, Action::Observe { .. })) {
        let number = number(parts, &placed.step.name);
        let path = format!("steps/{}.sh", step::file(number, &placed.step.name, &placed.node));
        all.push(File::new(path, step::script(&placed.step, &placed.node), 0o644));
    }
    for placed in parts.checks {
        let path = format!("checks/{}.sh", check::file(number_of_check(parts, placed), &placed.node));
        let access = parts.lab.exports.get(ACCESS).filter(|e| e.node == placed.node).map(|e| e.path.as_str());
        all.push(File::new(path, check::script(placed, access), 0o644));
    }
    all
}

fn number_of_check(parts: &Parts, placed: &PlacedCheck) -> usize {
    parts.lab.checks.iter().position(|c| c.name == placed.check.name).unwrap_or_default() + 1
}

fn number(parts: &Parts, name: &str) -> usize {
    parts.lab.steps.iter().position(|s| s.name == name).unwrap_or_default() + 1
}

const RUN: &str = r#"#!/usr/bin/env bash
# The steps of the lab @LAB@, one after another; those that are done are skipped, so that it goes on where it stopped.
# Written by `lab export vagrant`.
set -euo pipefail
cd "$(dirname "$0")"
# An `&` in a value is an `&`.
shopt -u patsub_replacement 2> /dev/null || true
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/outputs"
vagrant ssh-config > "$work/ssh"

on() { local node=$1; shift; ssh -F "$work/ssh" -o LogLevel=ERROR "$node" sudo -H "$@"; }

# step NODE FILE NAME [OUTPUT ...]: values of outputs go by the input, never as arguments.
step() {
  local node=$1 file=$2 name=$3 script output
  shift 3
  echo "== $name on $node"
  script=$(cat prelude.sh "steps/$file.sh")
  for output in "$work"/outputs/*; do
    [ -e "$output" ] || continue
    script=${script//"@{${output##*/}}"/$(cat "$output")}
  done
  printf '%s\n' "$script" | on "$node" bash -s
  for output in "$@"; do
    (umask 077; on "$node" cat "/run/lab/$name/outputs/$output" > "$work/outputs/$name.$output" < /dev/null)
  done
}

# observe NAME NODE ...: links, routes, neighbours and rules of the nodes, kept in observations/NAME.
observe() {
  local name=$1 node
  shift
  echo "== observe $name"
  mkdir -p "observations/$name"
  for node in "$@"; do on "$node" sh -s < capture.sh > "observations/$name/$node.txt"; done
}

# check NODE FILE NAME: held once; what it printed is shown where it does not hold.
bad=0
check() {
  local node=$1 file=$2 name=$3
  if cat checks.sh "checks/$file.sh" | on "$node" bash -s > "$work/said" 2>&1; then
    echo "PASS  $name ($node)"
  else
    echo "FAIL  $name ($node)"
    sed 's/^/      /' "$work/said"
    bad=$((bad + 1))
  fi
}

"#;

fn run(parts: &Parts) -> String {
    let mut out = RUN.replace("@LAB@", &parts.lab.name);
    for (index, step) in parts.lab.steps.iter().enumerate() {
        if let Action::Observe { name } = &step.action {
            let _ = writeln!(out, "observe {name} {}", step.on.join(" "));
            continue;
        }
        for node in &step.on {
            let outputs: String = step.outputs.iter().map(|o| format!(" {}", o.name)).collect();
            let file = step::file(index + 1, &step.name, node);
            let _ = writeln!(out, "step {node} {file} {}{outputs}", step::safe(&step.name));
        }
    }
    if !parts.checks.is_empty() {
        out += "\necho '== checks'\n";
    }
    for placed in parts.checks {
        let file = check::file(number_of_check(parts, placed), &placed.node);
        let _ = writeln!(out, "check {} {file} {}", placed.node, quote(&placed.check.name));
    }
    if !parts.checks.is_empty() {
        let all = parts.checks.len();
        let _ = writeln!(out, "[ \"$bad\" = 0 ] || {{ echo \"$bad of {all} checks do not hold\" >&2; exit 1; }}");
    }
    out
}
