//! Which driver makes the nodes, before there are any.

use crate::support::{Home, run};

#[test]
fn a_plan_needs_neither_nodes_nor_an_image() {
    let home = Home::new();
    let (out, err, code) = run(home.lab(&["plan", "two-nodes"]));
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("boot") && out.contains("n1, n2: it does not exist"), "{out}");
    assert!(!home.state().exists() && !home.path().join("cache").exists());
}

#[test]
fn where_no_driver_works_both_say_what_they_need() {
    let home = Home::new();
    let mut lab = home.lab(&["up", "two-nodes"]);
    lab.env("PATH", home.path());
    let (_, err, code) = run(lab);
    assert_eq!(code, Some(3), "{err}");
    assert!(err.contains("qemu-system-x86_64 is not installed") && err.contains("slirp4netns"), "{err}");
    assert!(!home.state().join("two-nodes").exists() && !home.path().join("cache").exists());
}

#[test]
fn the_command_line_wins_over_the_lab_file_and_the_nodes_keep_their_driver() {
    let home = Home::new();
    let text = "lab: x\nimage: plain\ndriver: container\nnodes: {n1: {}}\nsteps: []\n";
    home.file("lab.yaml", text);
    let (_, err, code) = run(home.lab(&["up", "--driver", "fake"]));
    assert_eq!(code, Some(0), "{err}");
    assert!(err.contains("driver fake: "), "{err}");
    let (out, _, _) = run(home.lab(&["status"]));
    assert!(out.contains("\ndriver fake: "), "{out}");
    assert_eq!(run(home.lab(&["up"])).2, Some(0), "the nodes' driver, not the file's");
    let (_, err, code) = run(home.lab(&["up", "--driver", "container"]));
    assert_eq!(code, Some(2));
    assert!(err.contains("its nodes were made by `fake`") && err.contains("lab destroy x"), "{err}");
}

#[test]
fn a_step_of_a_lab_that_is_not_made_is_shown_for_the_driver_that_up_would_choose() {
    let home = Home::new();
    let text =
        "lab: x\nimage: plain\nnodes: {n1: {}}\nsteps: [{name: say, run: 'echo {{ driver.nested_kernel | lower }}'}]\n";
    home.file("lab.yaml", text);
    let said = |args: &[&str]| {
        let (out, err, code) = run(home.lab(&[&["render", "say"], args].concat()));
        assert_eq!(code, Some(0), "{err}");
        out.lines().find(|l| l.starts_with("echo ")).unwrap().to_owned()
    };
    assert_eq!((said(&["--driver", "qemu"]), said(&["--driver", "fake"])), ("echo false".into(), "echo false".into()));
    let (report, _, _) = run(home.lab(&["doctor", "--json"]));
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    let good = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .any(|f| f["check"] == "driver container" && f["weight"] == "good");
    let fast = std::fs::File::options().read(true).write(true).open("/dev/kvm").is_ok();
    let expected = if good && !fast { "echo true" } else { "echo false" };
    assert_eq!(said(&[]), expected, "{report}");
    home.file("lab.yaml", &text.replace("image: plain", "image: plain\ndriver: qemu"));
    assert_eq!(said(&[]), "echo false", "as the lab file says");
}
