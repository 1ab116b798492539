//! Container nodes on a host with cgroup v2: a virtual machine of our own, in which this very test program runs the
//! two-node lab as root and as an ordinary user, with the same assertions as everywhere.

use crate::host::{self, lab};
use crate::support::{Home, run};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/v2-host/lab.yaml");

/// Copies files into the host, as the programs of the test expect to find each other.
fn bring(home: &Home) {
    let exe = std::env::current_exe().unwrap();
    let tar = |args: &[&Path]| {
        let mut tar = Command::new("tar");
        tar.arg("-chf").arg("-").args(args);
        tar
    };
    let test = exe.file_name().map(PathBuf::from).unwrap();
    let dir = exe.parent().unwrap();
    into(home, tar(&[Path::new("-C"), dir, &test]), "mkdir -p /opt/e2e/deps && tar -xf - -C /opt/e2e/deps");
    let bin = assert_cmd::cargo::cargo_bin("lab");
    into(home, tar(&[Path::new("-C"), bin.parent().unwrap(), Path::new("lab")]), "tar -xf - -C /opt/e2e");
    host::ok(lab(home, &["ssh", "host", "-c", &format!("mv /opt/e2e/deps/{} /opt/e2e/deps/e2e", test.display())]));
    let images = plain().parent().unwrap().to_owned();
    let key = plain().file_name().map(PathBuf::from).unwrap();
    let parts = ["disk.qcow2", "initrd.img", "root.tar", "vmlinuz", "manifest.json"].map(|name| key.join(name));
    let mut args: Vec<&Path> = vec![Path::new("-C"), &images];
    args.extend(parts.iter().map(PathBuf::as_path));
    let unpack = "for home in /root /home/student; do mkdir -p $home/.cache/lab/images; done; \
                  tar -xf - -C /home/student/.cache/lab/images && chown -R student: /home/student/.cache && \
                  cp -a --no-preserve=ownership /home/student/.cache/lab/images/. /root/.cache/lab/images/";
    into(home, tar(&args), unpack);
}

/// The plain image in the cache.
fn plain() -> PathBuf {
    let home = Home::new();
    let (out, _) = host::ok(lab(&home, &["image", "build", "plain"]));
    PathBuf::from(out.trim())
}

fn into(home: &Home, mut from: Command, to: &str) {
    let mut from = from.stdout(Stdio::piped()).spawn().unwrap();
    let mut to_host = Command::new(assert_cmd::cargo::cargo_bin("lab"));
    to_host.args(["ssh", "host", "-c", to]).current_dir(home.path()).stdin(from.stdout.take().unwrap());
    to_host.env("LAB_STATE_DIR", home.state()).env("LAB_RUN_DIR", home.path().join("run"));
    assert!(to_host.status().unwrap().success() && from.wait().unwrap().success(), "{to}");
}

/// Runs the two-node lab's test in the host; what it said when it failed.
fn in_it(home: &Home, who: &str, before: &str) {
    let test = "TMPDIR=/var/tmp /opt/e2e/deps/e2e --nocapture --test-threads=1 two_nodes::containers 2>&1";
    let user = match who {
        "root" => test.to_owned(),
        // As a login would set it.
        _ => format!(
            "runuser -u {who} -- env HOME=/home/{who} USER={who} XDG_RUNTIME_DIR=/run/user/$(id -u {who}) {test}"
        ),
    };
    let (out, err, code) = run(lab(home, &["ssh", "host", "-c", &format!("{before}; cd /; {user}")]));
    println!("{who}: {before}\n{out}{err}");
    assert_eq!(code, Some(0), "as {who}");
    assert!(out.contains("1 passed"), "{out}");
}

#[test]
fn container_nodes_of_root_and_of_an_ordinary_user() {
    let home = Home::new();
    let _gone = host::Gone(&home, "v2-host");
    host::ok(lab(&home, &["up", FILE, "--offline"]));
    bring(&home);
    in_it(&home, "student", "true");
    in_it(&home, "root", "true");
    // The other runtime.
    in_it(&home, "root", "mv /usr/bin/crun /usr/bin/crun.away");
    in_it(&home, "student", "true");
    let left = "find /sys/fs/cgroup -name 'lab*'; pgrep -a slirp4netns; ls /tmp /home/student/.local/state/lab 2>/dev/null | grep lab";
    let (out, _, _) = run(lab(&home, &["ssh", "host", "-c", left]));
    assert_eq!(out, "", "something is left on the host");
}
