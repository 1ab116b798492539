//! Container nodes on a host with cgroup v2: a virtual machine of our own, in which this very test program runs the
//! two-node lab as root and as an ordinary user, with the same assertions as everywhere, and the user then the whole
//! flannel lab.

use crate::host::{self, lab};
use crate::support::{Home, run};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/v2-host/lab.yaml");

/// Copies files into the host, as the programs of the test expect to find each other.
fn bring(home: &Home) {
    let exe = std::env::current_exe().unwrap();
    let test = exe.file_name().map(PathBuf::from).unwrap();
    let dir = exe.parent().unwrap();
    into(home, tar(&[Path::new("-C"), dir, &test]), "mkdir -p /opt/e2e/deps && tar -xf - -C /opt/e2e/deps");
    let bin = assert_cmd::cargo::cargo_bin("lab");
    into(home, tar(&[Path::new("-C"), bin.parent().unwrap(), Path::new("lab")]), "tar -xf - -C /opt/e2e");
    host::ok(lab(home, &["ssh", "host", "-c", &format!("mv /opt/e2e/deps/{} /opt/e2e/deps/e2e", test.display())]));
}

/// The user's images in the host.
const MINE: &str = "/home/student/.cache/lab/images";

/// An image of the cache, as an archive.
fn archive(name: &str) -> Command {
    let (out, _) = host::ok(lab(&Home::new(), &["image", "build", name]));
    let dir = PathBuf::from(out.trim());
    let key = dir.file_name().map(PathBuf::from).unwrap();
    let parts = ["disk.qcow2", "initrd.img", "root.tar", "vmlinuz", "manifest.json"].map(|part| key.join(part));
    let mut args: Vec<&Path> = vec![Path::new("-C"), dir.parent().unwrap()];
    args.extend(parts.iter().map(PathBuf::as_path));
    tar(&args)
}

fn tar(args: &[&Path]) -> Command {
    let mut tar = Command::new("tar");
    tar.arg("-chf").arg("-").args(args);
    tar
}

fn into(home: &Home, mut from: Command, to: &str) {
    let mut from = from.stdout(Stdio::piped()).spawn().unwrap();
    let mut to_host = Command::new(assert_cmd::cargo::cargo_bin("lab"));
    to_host.args(["ssh", "host", "-c", to]).current_dir(home.path()).stdin(from.stdout.take().unwrap());
    to_host.env("LAB_STATE_DIR", home.state()).env("LAB_RUN_DIR", home.path().join("run"));
    assert!(to_host.status().unwrap().success() && from.wait().unwrap().success(), "{to}");
}

/// The command as a login of the ordinary user would run it.
fn as_student(command: &str) -> String {
    let env = "HOME=/home/student USER=student XDG_RUNTIME_DIR=/run/user/$(id -u student)";
    format!("cd /home/student; runuser -u student -- env {env} {command}")
}

/// Runs a command in the host, and returns what it printed; it must succeed.
fn in_it(home: &Home, command: &str) -> String {
    let (out, err, code) = run(lab(home, &["ssh", "host", "-c", command]));
    println!("{command}\n{out}{err}");
    assert_eq!(code, Some(0), "{command}");
    out
}

/// The two-node lab's test, as everywhere.
const TEST: &str = "TMPDIR=/var/tmp /opt/e2e/deps/e2e --nocapture --test-threads=1 two_nodes::containers 2>&1";

/// A host that is up, with the programs, and an image in the user's cache.
fn host_with(home: &Home, image: &str) {
    host::ok(lab(home, &["up", FILE, "--offline"]));
    bring(home);
    let unpack = format!("mkdir -p {MINE} && tar -xf - -C {MINE} && chown -R student: /home/student/.cache");
    into(home, archive(image), &unpack);
}

fn nothing_is_left(home: &Home) {
    let left = "find /sys/fs/cgroup -name 'lab*'; pgrep -a slirp4netns; pgrep -af '/opt/[e]2e/lab'; ls /tmp | grep lab; \
                find /home/student/.local/state/lab -mindepth 1 2>/dev/null";
    let (out, _, _) = run(lab(home, &["ssh", "host", "-c", left]));
    assert_eq!(out, "", "something is left on the host");
}

#[test]
fn two_nodes_of_root_and_of_an_ordinary_user() {
    let home = Home::new();
    let _gone = host::Gone(&home, "v2-host");
    host_with(&home, "plain");
    in_it(&home, &format!("mkdir -p /root/.cache/lab && cp -a --no-preserve=ownership {MINE} /root/.cache/lab/"));
    let two_nodes = |command: &str| assert!(in_it(&home, command).contains("1 passed"), "{command}");
    two_nodes(&as_student(TEST));
    two_nodes(TEST);
    // The other runtime.
    in_it(&home, "mv /usr/bin/crun /usr/bin/crun.away");
    two_nodes(TEST);
    two_nodes(&as_student(TEST));
    nothing_is_left(&home);
}

#[test]
fn a_cluster_of_an_ordinary_user() {
    let home = Home::new();
    let _gone = host::Gone(&home, "v2-host");
    host_with(&home, "kubernetes");
    let lesson = in_it(&home, &as_student("/opt/e2e/lab up flannel --offline"));
    assert!(lesson.contains("10 of 10 checks hold"), "{lesson}");
    in_it(&home, &as_student("/opt/e2e/lab destroy flannel -f"));
    nothing_is_left(&home);
}
