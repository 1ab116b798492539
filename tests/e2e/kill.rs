//! `lab` killed at random instants of an `up` of the two-node lab, on real nodes. `LAB_KILL_SEEDS=N` for more of them;
//! `scripts/kill-nodes` has the long form.

use crate::harness::{Course, Subject, processes_of, storm, wear};
use crate::host::{self, host, lab};
use crate::support::{Home, run};
use std::sync::Mutex;
use std::time::Duration;

fn subject<'a>(up: &'a [&'a str], leftovers: &'a (dyn Fn(&Home) -> Vec<String> + Sync)) -> Subject<'a> {
    let destroy = &["destroy", "two-nodes", "-f"];
    let (begin, converged) = (&|_: &Home| (), &converged);
    Subject { up, destroy, own_cache: false, begin, converged, victims: &victims, leftovers }
}

/// The nodes' first processes or QEMUs, what serves them, the switch, the keeper: all that outlives `lab`.
fn victims(home: &Home) -> Vec<(String, i32)> {
    let mut all = Vec::new();
    for node in ["n1", "n2"] {
        let text = std::fs::read(home.state().join(format!("two-nodes/nodes/{node}/process.json"))).unwrap_or_default();
        let pid = serde_json::from_slice::<serde_json::Value>(&text).ok().and_then(|json| json["pid"].as_i64());
        all.extend(pid.and_then(|pid| Some((format!("{node}'s first process"), i32::try_from(pid).ok()?))));
    }
    for line in processes_of(home) {
        let helpers = ["slirp4netns", "tee", " switch --run ", " keep --run ", "qemu-system"];
        let Some((pid, program)) = line.trim_start_matches("process ").split_once(": ") else { continue };
        if let Some(name) = helpers.iter().find(|name| program.contains(*name)) {
            all.extend(pid.parse().ok().map(|pid| (format!("`{}`", name.trim()), pid)));
        }
    }
    all
}

/// Its own last step proves the lab; a finished lab has nothing to do.
fn converged(home: &Home) -> Result<(), String> {
    let (out, err, _) = run(lab(home, &["plan", "two-nodes"]));
    if out.contains("\n0 of ") { Ok(()) } else { Err(format!("{out}{err}")) }
}

#[test]
fn containers_killed_anywhere_converge_and_leave_nothing_on_the_host() {
    let _alone = host::alone();
    let before = Mutex::new(host());
    let leftovers = |home: &Home| {
        let before = before.lock().unwrap();
        let changed = host().symmetric_difference(&before).cloned().collect::<Vec<_>>();
        processes_of(home).into_iter().chain(changed).collect()
    };
    let up = ["-v", "up", "two-nodes", "--driver", "container", "--offline"];
    storm(&subject(&up, &leftovers), 0..1000, 20, 1);
}

/// One lab that is killed again and again: a boot under emulation takes its time, and goes on beside the kills.
#[test]
fn machines_killed_again_and_again_converge_and_leave_nothing() {
    let up = ["-v", "up", "two-nodes", "--driver", "qemu", "--offline"];
    // The events until the first login, and as much time for each as an emulated boot takes for all.
    let course = Course((1..=14).map(Duration::from_secs).collect());
    wear(&subject(&up, &processes_of), &course, 3, the_switch_comes_back_under_running_nodes);
}

fn the_switch_comes_back_under_running_nodes(home: &Home) {
    let lab = |args: &[&str]| run(lab(home, args));
    let switch = processes_of(home).into_iter().find(|p| p.contains(" switch --run ")).unwrap();
    let pid: i32 = switch.split_whitespace().nth(1).unwrap().trim_end_matches(':').parse().unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    let (out, _, _) = lab(&["status", "two-nodes"]);
    assert!(out.contains("the network switch does not run"), "{out}");
    let (out, err, code) = lab(&["up", "two-nodes"]);
    assert_eq!(code, Some(0), "{out}{err}");
    let ping = "for i in $(seq 30); do ping -c 1 -W 1 n2 && exit; done; exit 1";
    let (out, err, code) = lab(&["ssh", "n1", "-c", ping]);
    assert_eq!(code, Some(0), "{out}{err}");
}
