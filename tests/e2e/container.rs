//! What only container nodes have to be told: reboots, helpers that die, memory that is full. Needs root.

use crate::host::{self, lab, ok};
use crate::support::{Home, run};
use std::path::Path;
use std::process::Command as Program;
use std::time::{Duration, Instant};

const LAB: &str = "\
lab: small
image: plain
networks: {nat: {kind: nat}, lan: {kind: host-only, subnet: 192.168.20.0/24}}
nodes:
  c1: {memory: 256MiB, networks: {lan: 192.168.20.11}}
  c2: {memory: 256MiB, networks: {lan: 192.168.20.12}}
";

fn on(home: &Home, node: &str, script: &str) -> String {
    ok(lab(home, &["ssh", node, "-c", script])).0
}

fn up(home: &Home, steps: &str) -> (String, String, Option<i32>) {
    let file = home.file("small.yaml", &format!("{LAB}{steps}"));
    run(lab(home, &["up", file.to_str().unwrap(), "--driver", "container", "--offline"]))
}

/// Waits until a node answers and says something else than before. What happens on a node has no event on the host.
fn until_other(home: &Home, node: &str, script: &str, before: &str) -> String {
    loop {
        let (out, _, code) = run(lab(home, &["ssh", node, "-c", script]));
        if code == Some(0) && out != before {
            return out;
        }
    }
}

fn pids(pattern: &str) -> Vec<String> {
    let found = Program::new("pgrep").args(["-f", pattern]).output().unwrap();
    String::from_utf8(found.stdout).unwrap().split_whitespace().map(str::to_owned).collect()
}

#[test]
fn a_node_that_reboots_comes_back_and_one_whose_way_out_dies_keeps_its_links() {
    let _alone = host::alone();
    let home = Home::new();
    let _gone = host::Gone(&home, "small");
    let (_, err, code) = up(&home, "steps: []\n");
    assert_eq!(code, Some(0), "{err}");
    let boot = on(&home, "c1", "cat /proc/sys/kernel/random/boot_id");
    run(lab(&home, &["ssh", "c1", "-c", "systemctl reboot"]));
    until_other(&home, "c1", "cat /proc/sys/kernel/random/boot_id", &boot);
    on(&home, "c1", "ping -c 1 -W 5 192.168.20.12");

    // A device that stands on eth1 goes with it: it stays when all helpers of the lab die at once.
    on(&home, "c2", "ip link add vxlan9 type vxlan id 9 dev eth1 dstport 9999 && ip link set vxlan9 up");
    let sockets = format!("slirp4netns.*--api-socket={}", home.path().display());
    let helpers = pids(&sockets);
    assert_eq!(helpers.len(), 2);
    assert!(Program::new("kill").arg("-9").args(&helpers).status().unwrap().success());
    while pids(&sockets).len() < 2 || pids(&sockets).iter().any(|pid| helpers.contains(pid)) {
        std::thread::yield_now();
    }
    let links = until_other(&home, "c2", "ip -br link show dev eth1 && ip -br link show dev vxlan9", "");
    assert!(links.contains("vxlan9"), "{links}");
    on(&home, "c2", "ping -c 1 -W 5 192.168.20.11");
    ok(lab(&home, &["destroy", "small", "-f"]));
    assert_eq!(host::processes(&home), Default::default());
}

#[test]
fn a_full_memory_stays_in_the_node_and_is_told() {
    let _alone = host::alone();
    let home = Home::new();
    let _gone = host::Gone(&home, "small");
    // It looks for the last line of a file without an end.
    let (_, err, code) = up(&home, "steps:\n  - {name: eat, on: c1, run: tail /dev/zero}\n");
    assert_eq!(code, Some(1), "{err}");
    assert!(err.contains("c1: the kernel killed a process in it because memory was full"), "{err}");
    let (out, _) = ok(lab(&home, &["status", "small"]));
    assert_eq!(out.matches("running").count(), 2, "the nodes live on: {out}");
    assert!(out.contains("c1: the kernel killed") && !out.contains("c2: "), "{out}");
    ok(lab(&home, &["destroy", "small", "-f"]));
}

#[test]
fn a_node_whose_first_process_is_killed_ends_a_running_up() {
    let _alone = host::alone();
    let home = Home::new();
    let _gone = host::Gone(&home, "small");
    let steps = "steps:\n  - {name: long, on: c1, run: 'touch /run/begun; sleep 3600', timeout: 1h}\n";
    let (_, err, code) = std::thread::scope(|scope| {
        let up = scope.spawn(|| up(&home, steps));
        while run(lab(&home, &["ssh", "c1", "-c", "test -e /run/begun"])).2 != Some(0) {
            assert!(!up.is_finished());
        }
        let text = std::fs::read(home.state().join("small/nodes/c1/process.json")).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&text).unwrap();
        let pid = rustix::process::Pid::from_raw(i32::try_from(json["pid"].as_i64().unwrap()).unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        up.join().unwrap()
    });
    assert_eq!(code, Some(1), "{err}");
    assert!(err.contains("on c1: its first process was killed") && err.contains("`lab up` starts it again"), "{err}");
    ok(lab(&home, &["destroy", "small", "-f"]));
}

/// Freezes all processes of a node, or lets them go on.
fn freeze(home: &Home, node: &str, frozen: bool) {
    let text = std::fs::read(home.state().join(format!("small/nodes/{node}/process.json"))).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&text).unwrap();
    let groups = std::fs::read_to_string(format!("/proc/{}/cgroup", json["pid"])).unwrap();
    let at =
        |root: &str, line: &str| Path::new(root).join(line.rsplit(":/").next().unwrap().split('/').next().unwrap());
    let (file, word) = match groups.lines().find(|line| line.contains(":freezer:")) {
        Some(line) => (at("/sys/fs/cgroup/freezer", line).join("freezer.state"), ["THAWED", "FROZEN"]),
        None => (at("/sys/fs/cgroup", groups.lines().next().unwrap()).join("cgroup.freeze"), ["0", "1"]),
    };
    std::fs::write(file, word[usize::from(frozen)]).unwrap();
}

#[test]
fn a_node_that_hangs_is_told_within_seconds_given_up_and_started_again_by_the_next_up() {
    let _alone = host::alone();
    let home = Home::new();
    let _gone = host::Gone(&home, "small");
    let steps = "steps:\n  - {name: long, on: c1, run: 'touch /run/begun; sleep 3600', timeout: 1h}\n";
    let file = home.file("small.yaml", &format!("{LAB}{steps}"));
    let (mut child, mut lines) = host::begin(&home, &file, "container");
    while run(lab(&home, &["ssh", "c1", "-c", "test -e /run/begun"])).2 != Some(0) {}
    freeze(&home, "c1", true);
    let begun = Instant::now();
    lines.find(|line| line.contains("c1: it runs, but has not answered for 10 s")).unwrap();
    println!("told after {:.1} s", begun.elapsed().as_secs_f64());
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    let (out, _) = ok(lab(&home, &["status", "small"]));
    let state = |node: &str| out.lines().find(|line| line.starts_with(&format!("{node} "))).unwrap().to_owned();
    assert!(state("c1").contains("no answer") && state("c2").contains("running"), "{out}");
    assert!(out.contains("c1: it runs, but does not answer"), "{out}");
    freeze(&home, "c1", false);
    lines.find(|line| line.contains("c1: it answers again")).unwrap();
    freeze(&home, "c1", true);
    let begun = Instant::now();
    let rest: Vec<String> = lines.collect();
    println!("given up after {:.1} s", begun.elapsed().as_secs_f64());
    assert_eq!(child.wait().unwrap().code(), Some(1), "{rest:?}");
    let said = rest.join("\n");
    assert!(said.contains("cannot reach the node on c1") && said.contains("lab reload small"), "{said}");
    // Nobody knows how the step ended: it is not said to have failed.
    assert!(ok(lab(&home, &["status", "small"])).0.contains("begun and not finished: long@c1"));
    assert!(ok(lab(&home, &["plan", "small"])).0.contains("it runs, but does not answer"));
    let (_, err, code) = up(&home, "steps:\n  - {name: long, on: c1, run: 'true'}\n");
    assert_eq!(code, Some(0), "{err}");
    assert!(err.contains("c1: it ran and did not answer, and is started again"), "{err}");
    assert_eq!(ok(lab(&home, &["status", "small"])).0.matches("running").count(), 2);
    // One that hangs is destroyed like any other.
    freeze(&home, "c2", true);
    ok(lab(&home, &["destroy", "small", "-f"]));
    assert_eq!(host::processes(&home), Default::default());
}

/// A lab whose folder somebody deleted while its nodes ran.
#[test]
fn nodes_of_a_lab_whose_folder_is_gone_are_found_and_removed() {
    let _alone = host::alone();
    let home = Home::new();
    let _gone = host::Gone(&home, "small");
    let before = host::state(&home);
    let (_, err, code) = up(&home, "steps: []\n");
    assert_eq!(code, Some(0), "{err}");
    let (out, _, _) = run(lab(&home, &["doctor"]));
    assert!(out.contains("nothing of labs that are gone"), "{out}");
    // Also what no process is in any more, and the sockets are gone as well.
    std::fs::remove_dir_all(home.state()).unwrap();
    let (out, _, _) = run(lab(&home, &["doctor"]));
    println!("{out}");
    assert!(out.contains("state/small has left, which is gone"), "{out}");
    assert_eq!(out.matches("a node whose folder is gone").count(), 2, "{out}");
    std::fs::remove_dir_all(home.path().join("run")).unwrap();
    let (out, _, _) = run(lab(&home, &["doctor"]));
    assert!(out.contains("slirp4netns (process ") && out.contains("lab (process "), "{out}");
    let (out, _, _) = run(lab(&home, &["doctor", "--fix"]));
    println!("{out}");
    let left: Vec<String> = host::state(&home).symmetric_difference(&before).cloned().collect();
    assert!(left.is_empty(), "{left:?}\n{out}");
    let (out, _, _) = run(lab(&home, &["doctor"]));
    assert!(out.contains("nothing of labs that are gone"), "{out}");
}

#[test]
fn nodes_are_not_started_on_an_image_that_was_built_again_with_other_content() {
    let _alone = host::alone();
    let home = Home::new();
    let _gone = host::Gone(&home, "small");
    let (out, _) = ok(lab(&home, &["image", "list", "--json"]));
    let images: serde_json::Value = serde_json::from_str(&out).unwrap();
    let plain = images["images"].as_array().unwrap().iter().find(|i| i["manifest"]["name"] == "plain").unwrap();
    let (dir, key) = (plain["dir"].as_str().unwrap(), plain["manifest"]["key"].as_str().unwrap());
    let copy = home.path().join("cache/images").join(key);
    std::fs::create_dir_all(copy.parent().unwrap()).unwrap();
    assert!(Program::new("cp").args(["-a", "--reflink=auto", dir]).arg(&copy).status().unwrap().success());
    let file = home.file("small.yaml", &format!("{LAB}steps: []\n"));
    let up = || run(home.lab(&["up", file.to_str().unwrap(), "--driver", "container", "--offline"]));
    let (_, err, code) = up();
    assert_eq!(code, Some(0), "{err}");
    // The kernel is other; the manifest says so, and all is good in itself.
    let open: std::fs::Permissions = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    for name in ["vmlinuz", "manifest.json"] {
        std::fs::set_permissions(copy.join(name), open.clone()).unwrap();
    }
    std::fs::write(copy.join("vmlinuz"), "other").unwrap();
    let text = std::fs::read(copy.join("manifest.json")).unwrap();
    let mut manifest: serde_json::Value = serde_json::from_slice(&text).unwrap();
    let files = manifest["files"].as_array_mut().unwrap();
    let kernel = files.iter_mut().find(|f| f["name"] == "vmlinuz").unwrap();
    kernel["size"] = 5.into();
    kernel["sha256"] = "d9298a10d1b0735837dc4bd85dac641b0f3cef27a47e5d53a54f2f3f5b2fcffa".into();
    std::fs::write(copy.join("manifest.json"), manifest.to_string()).unwrap();
    let (_, err, code) = up();
    assert_eq!(code, Some(0), "nodes that run go on: {err}");
    let (_, err, code) = run(home.lab(&["reload", "small"]));
    assert!(code == Some(1) && err.contains("the image plain is not the one"), "{err}");
    assert_eq!(ok(home.lab(&["status", "small"])).0.matches("running").count(), 2, "they were not stopped for nothing");
    ok(home.lab(&["halt", "small"]));
    let (_, err, code) = up();
    assert!(
        code == Some(1) && err.contains("the image plain is not the one") && err.contains("lab destroy small"),
        "{err}"
    );
    println!("{err}");
    ok(home.lab(&["destroy", "small", "-f"]));
    let (_, err, code) = up();
    assert_eq!(code, Some(0), "made anew: {err}");
    ok(home.lab(&["destroy", "small", "-f"]));
}

/// A disk in a mount namespace of its own, in which the lab's processes live too: it is full from a moment on.
#[test]
fn a_full_disk_is_told_and_with_room_the_nodes_are_made() {
    let _alone = host::alone();
    let before = host::host();
    for mebibytes in [1, 4, 8, 16, 40] {
        let home = Home::new();
        let file = home.file("small.yaml", &format!("{LAB}steps: []\n"));
        std::fs::create_dir(home.state()).unwrap();
        let script = format!(
            "mount -t tmpfs -o size=3g,mode=700 tmpfs \"$LAB_STATE_DIR\" || exit 90
             \"$LAB\" -v up \"$FILE\" --driver container --offline 2> said & up=$!
             until grep -q 'making the disk' said; do sleep 0.01; done
             mount -o remount,size={mebibytes}m tmpfs \"$LAB_STATE_DIR\" || echo it has more by now
             wait $up; first=$?; cat said >&2
             mount -o remount,size=3g tmpfs \"$LAB_STATE_DIR\" || exit 91
             \"$LAB\" up \"$FILE\" --driver container --offline || exit 92
             \"$LAB\" ssh c1 -c 'ping -c 1 -W 5 192.168.20.12' || exit 93
             \"$LAB\" destroy small -f || exit 94
             test -z \"$(ls -A \"$LAB_STATE_DIR\")\" || exit 95
             echo \"first $first\""
        );
        let mut shell = assert_cmd::Command::new("unshare");
        shell.args(["--mount", "sh", "-c", &script]).current_dir(home.path()).env("FILE", file);
        shell.env("LAB", assert_cmd::cargo::cargo_bin("lab")).env("LAB_STATE_DIR", home.state());
        shell.env("LAB_RUN_DIR", home.path().join("run"));
        let (out, err, code) = run(shell);
        assert_eq!(code, Some(0), "{mebibytes} MiB: {out}{err}");
        let told = out.contains("first 1") && err.contains("No space left on device");
        assert!(out.contains("first 0") || told, "{mebibytes} MiB: {out}{err}");
        println!("{mebibytes} MiB: {}", out.lines().last().unwrap());
        assert_eq!(host::processes(&home), Default::default());
    }
    let left: Vec<String> = host::host().symmetric_difference(&before).cloned().collect();
    assert!(left.is_empty(), "{left:?}");
}
