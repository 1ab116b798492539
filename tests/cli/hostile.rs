//! Lab files that mean harm: refused with a place, in bounded time and memory, and nothing is made.

use crate::support::{Home, run};
use std::time::{Duration, Instant};

const HEAD: &str = "lab: x\nimage: plain\nnetworks: {lan: {kind: host-only, subnet: 192.168.20.0/24}}\n";
const NODE: &str = "nodes: {n1: {networks: {lan: 192.168.20.11}}}\n";

/// Validates a lab file; returns what was said.
fn refused(text: &str) -> String {
    let home = Home::new();
    home.file("lab.yaml", text);
    let begun = Instant::now();
    let (out, err, code) = run(home.lab(&["validate"]));
    assert_eq!(code, Some(2), "{out}{}", err.chars().take(2000).collect::<String>());
    assert!(err.contains("lab.yaml:") || err.contains("--> lab.yaml") || err.contains(".yaml:"), "{err}");
    assert!(begun.elapsed() < Duration::from_secs(30), "it took {:?}", begun.elapsed());
    assert!(err.len() < 200_000, "{} bytes of messages", err.len());
    let commands = err.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t'));
    assert!(!commands && !home.state().exists());
    err
}

#[test]
fn names_and_paths_that_lead_elsewhere() {
    for name in ["../x", "/etc", "a/b", ".", "..", "-f", "a;reboot", "$(reboot)", "a b", "`id`", "A", "a\\nb", "\\e[2J"]
    {
        let name = format!("\"{name}\"");
        assert!(refused(&HEAD.replace("lab: x", &format!("lab: {name}"))).contains("is no name"), "{name}");
        let nodes = format!("{HEAD}nodes: {{{name}: {{networks: {{lan: 192.168.20.11}}}}}}\n");
        assert!(refused(&nodes).contains("is no name"), "{name}");
    }
    for (step, part) in [
        ("upload: {to: /a/../../etc/passwd, content: x}", "no absolute path"),
        ("upload: {to: etc/passwd, content: x}", "no absolute path"),
        ("upload: {to: \"/a\\nb\", content: x}", "no absolute path"),
        ("upload: {to: /a, from: ../../../etc/shadow}", "no file"),
        ("upload: {to: /a, from: /etc/shadow}", "no file"),
        ("upload: {to: /a, content: x, owner: '--reference=/etc/shadow'}", "no owner"),
        ("upload: {to: /a, content: x, owner: 'root; reboot'}", "no owner"),
        ("uses: ../../etc/passwd", "no composite step"),
        ("wait: ../../../etc/passwd", "no probe"),
        ("observe: ../../x", "is no name"),
        ("name: '../../x', run: 'true'", "a step's name"),
        ("name: 'a;reboot', run: 'true'", "a step's name"),
        ("run: 'true', outputs: {'../x': {}}", "is no name"),
        ("run: 'true', outputs: {'a b': {}}", "is no name"),
        ("wait: {description: \"\\e]0;x\\a\", run: 'true'}", "commands them"),
        ("run: 'true', hint: \"\\e[2J\"", "commands them"),
    ] {
        let said = refused(&format!("{HEAD}{NODE}steps:\n  - {{{step}}}\n"));
        assert!(said.contains(part), "{step}: {said}");
    }
    assert!(refused(&format!("title: \"\\e[2J\"\n{HEAD}{NODE}")).contains("commands them"));
    assert!(refused(&format!("{HEAD}{NODE}values: {{'a b': {{type: string, default: x}}}}\n")).contains("is no name"));
    assert!(refused(&HEAD.replace("image: plain", "image: ../../x")).contains("no image"));
}

#[test]
fn links_beside_a_lab_file_do_not_bring_the_users_own_files_to_its_nodes() {
    let home = Home::new();
    let (lesson, mine) = (home.path().join("lesson"), home.path().join("mine"));
    std::fs::create_dir_all(lesson.join("templates")).unwrap();
    std::fs::create_dir(&mine).unwrap();
    std::fs::write(mine.join("key"), "hush").unwrap();
    std::fs::write(lesson.join("shared"), "for all").unwrap();
    std::os::unix::fs::symlink(mine.join("key"), lesson.join("templates/key")).unwrap();
    std::os::unix::fs::symlink(&mine, lesson.join("templates/folder")).unwrap();
    std::os::unix::fs::symlink("../shared", lesson.join("templates/inside")).unwrap();
    let validate = |from: &str| {
        let steps = format!("steps:\n  - {{name: a, upload: {{to: /a, from: {from}}}}}\n");
        std::fs::write(lesson.join("lab.yaml"), format!("{HEAD}{NODE}{steps}")).unwrap();
        run(home.lab(&["validate", "lesson/lab.yaml"]))
    };
    for from in ["key", "folder/key"] {
        let (_, err, code) = validate(from);
        assert!(code == Some(2) && err.contains("no file"), "{from}: {err}");
    }
    assert_eq!(validate("inside").2, Some(0), "a link to a file of the lesson");
    std::fs::rename(lesson.join("templates"), lesson.join("other")).unwrap();
    std::os::unix::fs::symlink(&mine, lesson.join("templates")).unwrap();
    assert_eq!(validate("key").2, Some(2));
}

#[test]
fn a_file_beside_the_lab_file_that_cannot_be_taken_is_refused_and_no_other_is_taken_for_it() {
    let home = Home::new();
    home.file(
        "lab.yaml",
        &format!("{HEAD}{NODE}steps:\n  - {{name: a, upload: {{to: /a, from: sample/webpod.yaml}}}}\n"),
    );
    std::fs::create_dir_all(home.path().join("templates/sample")).unwrap();
    let own = home.path().join("templates/sample/webpod.yaml");
    let validate = || run(home.lab(&["validate"]));
    // Without taking a byte of the disk.
    std::fs::File::create(&own).unwrap().set_len(1 << 40).unwrap();
    let (_, err, code) = validate();
    assert!(code == Some(2) && err.contains("webpod.yaml: it has more than 1048576 bytes"), "{err}");
    std::fs::write(&own, b"\xff\xfe").unwrap();
    let (_, err, code) = validate();
    assert!(code == Some(2) && err.contains("it is no text"), "{err}");
    std::fs::write(&own, "mine").unwrap();
    assert_eq!(validate().2, Some(0));
}

#[test]
fn a_lab_that_is_named_by_a_path_is_none() {
    let home = Home::new();
    home.file("lab.yaml", &format!("{HEAD}{NODE}steps: []\n"));
    assert_eq!(run(home.lab(&["up", "--driver", "fake"])).2, Some(0));
    std::fs::rename(home.state().join("x"), home.path().join("elsewhere")).unwrap();
    for verb in ["status", "halt", "ssh-config", "destroy"] {
        let (out, err, code) = run(home.lab(&[verb, "../elsewhere"]));
        assert_eq!(code, Some(2), "{verb}: {out}{err}");
    }
    assert!(home.path().join("elsewhere/lab.json").exists());
}

#[test]
fn what_a_value_says_is_never_a_shells_to_read_but_where_the_lab_file_puts_it() {
    let home = Home::new();
    let steps = "values: {word: {type: string, default: \"'; touch $HOME/pwned; echo '\"}}\nsteps:\n  - {name: a, upload: {to: \"/tmp/$(touch pwned)/it's\", content: \"$(touch pwned)\"}}\n  - {name: b, template: {to: '/b', content: \"{{ word }}\"}}\n  - {name: c, run: \"printf %s {{ word | sh }} > $HOME/c\"}\n";
    home.file("lab.yaml", &format!("{HEAD}{NODE}{steps}"));
    let (_, err, code) = run(home.lab(&["up", "--driver", "fake"]));
    assert_eq!(code, Some(0), "{err}");
    let root = home.state().join("x/nodes/n1/root");
    let word = "'; touch $HOME/pwned; echo '";
    assert_eq!(std::fs::read_to_string(root.join("c")).unwrap(), word);
    assert_eq!(std::fs::read_to_string(root.join("b")).unwrap(), word);
    assert!(root.join("tmp/$(touch pwned)/it's").exists() && !root.join("pwned").exists());
    assert_eq!(run(home.lab(&["destroy", "x", "-f"])).2, Some(0));
}

#[test]
fn bombs() {
    let mut aliases = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for i in 1..9 {
        aliases += &format!("a{i}: &a{i} [{}]\n", vec![format!("*a{}", i - 1); 10].join(", "));
    }
    assert!(refused(&format!("{HEAD}{NODE}{aliases}")).contains("aliases"));
    let large = format!("{HEAD}{NODE}a: &x {}\nb: [{}]\n", "x".repeat(400_000), vec!["*x"; 20_000].join(", "));
    assert!(refused(&large).contains("aliases"));
    assert!(refused(&format!("{HEAD}{NODE}title: {}\n", "x".repeat(2 << 20))).contains("bytes"));
    let line = format!("{HEAD}{NODE}{}: 1\n", "k".repeat(900_000));
    assert!(refused(&line).contains("unknown key") || refused(&line).contains("lab.yaml"));
    let many: String = (0..15_000).map(|i| format!("k{i}: 1\n")).collect();
    assert!(refused(&format!("{HEAD}{NODE}{many}")).contains("more like these"));
    for deep in ["[", "{a: ", "- ", "? "] {
        refused(&deep.repeat(200_000));
    }
    let nodes: String = (0..5000).map(|i| format!("  n{i}: {{networks: {{}}}}\n")).collect();
    assert!(refused(&format!("{HEAD}nodes:\n{nodes}")).contains("more than 64 nodes"));
}

#[test]
fn templates_without_end() {
    let endless = "{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}";
    let doubling = "{% set x = 'xxxxxxxxxxxxxxxx' %}".to_owned() + &"{% set x = x ~ x %}".repeat(60) + "{{ x }}";
    for text in [endless, &doubling, "{{ 'x' * 10000000000 }}", "{{ 'x' | indent(10000000000) }}", &"(".repeat(50_000)]
    {
        let text = if text.starts_with('(') { format!("{{{{ {text} }}}}") } else { text.to_owned() };
        let file = format!("{HEAD}{NODE}steps:\n  - {{name: a, run: 'true', hint: \"{text}\"}}\n");
        let home = Home::new();
        home.file("lab.yaml", &file);
        let begun = Instant::now();
        let (_, err, code) = run(home.lab(&["validate"]));
        // One whose result is small is no harm.
        assert!(code == Some(2) || code == Some(0), "{code:?} {err}");
        assert!(begun.elapsed() < Duration::from_secs(20));
    }
    let many = format!("  - {{run: 'true', hint: \"{endless}\"}}\n").repeat(900);
    refused(&format!("{HEAD}{NODE}steps:\n{many}"));
}

#[test]
fn composite_steps_that_multiply() {
    let home = Home::new();
    let dir = home.path().join("templates");
    std::fs::create_dir(&dir).unwrap();
    for i in 0..7 {
        let uses = format!("  - {{uses: s{}}}\n", i + 1).replace("uses:", "name: NAME, uses:");
        let steps: String = (0..20).map(|n| uses.replace("NAME", &format!("a{n}"))).collect();
        std::fs::write(dir.join(format!("s{i}.yaml")), format!("steps:\n{steps}")).unwrap();
    }
    std::fs::write(dir.join("s7.yaml"), "steps:\n  - {name: x, run: 'true'}\n").unwrap();
    home.file("lab.yaml", &format!("{HEAD}{NODE}steps:\n  - {{name: s, uses: s0}}\n"));
    let begun = Instant::now();
    let (_, err, code) = run(home.lab(&["validate"]));
    assert!(code == Some(2) && err.contains("more than 1000 steps"), "{err}");
    assert!(begun.elapsed() < Duration::from_secs(10) && err.len() < 100_000, "{:?} {}", begun.elapsed(), err.len());
}
