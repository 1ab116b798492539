//! `lab version`: for people one line, for a bug report what the program stands on.

use crate::paths::Paths;
use serde_json::{Value as Json, json};
use std::process::{Command, Stdio};

/// Programs of the host that drivers and builds use, and how each tells its version.
const PROGRAMS: [(&str, &str); 7] = [
    ("qemu-img", "--version"),
    ("runc", "--version"),
    ("crun", "--version"),
    ("slirp4netns", "--version"),
    ("mmdebstrap", "--version"),
    ("mke2fs", "-V"),
    ("go", "version"),
];

/// The version; with `verbose` also the host's.
pub fn version(verbose: bool, as_json: bool, paths: &Paths) -> String {
    let own = format!("lab {} ({} {})", env!("CARGO_PKG_VERSION"), std::env::consts::ARCH, std::env::consts::OS);
    if !verbose && !as_json {
        return format!("{own}\n");
    }
    let facts = facts(paths);
    if as_json {
        let facts: serde_json::Map<String, Json> = facts.into_iter().map(|(k, v)| (k, Json::from(v))).collect();
        return super::json("version", json!({"version": env!("CARGO_PKG_VERSION"), "host": facts}));
    }
    let width = facts.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let lines = facts.iter().map(|(name, value)| format!("{name:<width$}  {value}\n"));
    format!("{own}\n{}", lines.collect::<String>())
}

fn facts(paths: &Paths) -> Vec<(String, String)> {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let os = read("/etc/os-release");
    let os = os.lines().find_map(|l| l.strip_prefix("PRETTY_NAME=")).unwrap_or("unknown").trim_matches('"').to_owned();
    let kvm = match std::fs::File::options().read(true).write(true).open("/dev/kvm") {
        Ok(_) => "/dev/kvm can be opened".to_owned(),
        Err(e) => format!("/dev/kvm: {e}"),
    };
    let cpus = std::thread::available_parallelism().map_or(0, usize::from);
    let memory = read("/proc/meminfo");
    let memory = memory.lines().find_map(|l| l.strip_prefix("MemTotal:")).unwrap_or("unknown").trim().to_owned();
    let mut all = vec![
        ("system", os),
        ("kernel", read("/proc/sys/kernel/osrelease").trim().to_owned()),
        ("processors", cpus.to_string()),
        ("memory", memory),
        ("kvm", kvm),
        ("user", if rustix::process::getuid().is_root() { "root" } else { "not root" }.to_owned()),
        ("cache", paths.cache.display().to_string()),
        ("state", paths.state.display().to_string()),
        ("sockets", paths.run.display().to_string()),
    ];
    all.extend(PROGRAMS.iter().map(|(program, flag)| (*program, said(program, flag))));
    all.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// The first line that a program says of itself.
fn said(program: &str, flag: &str) -> String {
    let output = Command::new(program).arg(flag).stdin(Stdio::null()).output();
    let Ok(output) = output else { return "not installed".to_owned() };
    let text = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&text).lines().next().unwrap_or("says nothing").trim().to_owned()
}
