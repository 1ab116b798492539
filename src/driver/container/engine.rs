//! The OCI runtime: runc or crun, whichever makes a machine like a node on this host.

use super::disk::{remove_dir, remove_file};
use super::rootless::{self, Standing};
use super::{cgroup, process, spec};
use crate::driver::Place;
use crate::error::{Context, Error, Result};
use crate::state::write::atomically;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::process::Command;

/// The runtimes that are tried, the first that works is taken. crun is lighter, runc knows more hosts.
pub const CANDIDATES: [&str; 2] = ["crun", "runc"];

/// Reads the mounts of a node from its arguments, makes the root's overlay and becomes the runtime. It runs in a mount
/// namespace of its own, which the node's is a copy of: the host's table of mounts never shows the overlay.
const CREATE: &str = "mount -t overlay overlay -o \"$1\" \"$2\" && shift 2 && exec \"$@\"";

/// A runtime that works here.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Engine {
    pub name: String,
    pub program: PathBuf,
    /// Why the others were not taken.
    pub refused: Vec<String>,
}

/// What is needed to make a node's container.
pub struct Bundle<'a> {
    pub place: &'a Place,
    /// The mount point of the root.
    pub root: PathBuf,
    /// The options of its overlay.
    pub overlay: String,
    /// The node's console.
    pub console: OwnedFd,
}

/// Finds a runtime on this search path by making a small machine with each. What worked is remembered until the host
/// boots or its runtimes change.
pub async fn choose(path: &OsStr, scratch: &Path) -> Result<Engine> {
    std::fs::create_dir_all(scratch).context(|| "make the driver's folder")?;
    let known = scratch.join(format!("runtime-{}.json", circumstances(path)));
    let remembered = || serde_json::from_slice::<Engine>(&std::fs::read(&known).ok()?).ok();
    if let Some(engine) = remembered() {
        return Ok(engine);
    }
    let _turn = turn(scratch).await?;
    if let Some(engine) = remembered() {
        return Ok(engine);
    }
    let mut refused = Vec::new();
    for name in CANDIDATES {
        let Some(program) = look_up(path, name) else {
            refused.push(format!("{name} is not installed"));
            continue;
        };
        match try_out(&program, scratch).await {
            Ok(()) => {
                let engine = Engine { name: name.to_owned(), program, refused };
                let text = serde_json::to_vec(&engine).context(|| "remember the runtime that works")?;
                atomically(&known, &text, 0o600)?;
                return Ok(engine);
            }
            Err(e) => refused.push(format!("{name}: {}", e.why)),
        }
    }
    let hint = "sudo apt install -y runc; or --driver qemu";
    Err(Error::host("use the container driver", refused.join("; ")).hint(hint))
}

fn look_up(path: &OsStr, name: &str) -> Option<PathBuf> {
    std::env::split_paths(path).map(|dir| dir.join(name)).find(|file| file.is_file())
}

/// What decides whether a runtime works, as a digest: this boot of the host, what we may do there, the programs.
fn circumstances(path: &OsStr) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&std::fs::read("/proc/sys/kernel/random/boot_id").unwrap_or_default());
    // Inside each `lab` has a cgroup of its own name.
    let cgroup = || std::fs::read("/proc/self/cgroup").unwrap_or_default();
    hasher.update(&if rootless::standing() == Standing::Inside { b"delegated".into() } else { cgroup() });
    hasher.update(super::capability::granted().join(" ").as_bytes());
    for program in CANDIDATES.into_iter().filter_map(|name| look_up(path, name)) {
        let told = std::fs::metadata(&program).map(|m| format!("{} {:?}", m.len(), m.modified().ok()));
        hasher.update(program.as_os_str().as_encoded_bytes()).update(told.unwrap_or_default().as_bytes());
    }
    hasher.finalize().to_hex()[..16].to_owned()
}

/// Makes a machine of the host's own programs, with all that a node's configuration asks for, and runs `true` in it. The
/// runtime takes its cgroup away by itself at the end, also when we are killed meanwhile.
async fn try_out(program: &Path, scratch: &Path) -> Result<()> {
    let what = || "try the runtime";
    let dir = scratch.join("trial");
    remove_dir(&dir)?;
    let root = dir.join("root");
    for folder in ["", "proc", "sys", "dev", "run", "tmp"] {
        std::fs::create_dir_all(root.join(folder)).context(what)?;
    }
    let parts = ["/usr", "/bin", "/lib", "/lib64", "/nix"].into_iter().filter(|part| Path::new(part).exists());
    let bind = |part| json!({"destination": part, "type": "bind", "source": part, "options": ["bind", "ro"]});
    let id = format!("lab-trial-{}", std::process::id());
    let machine = spec::Machine {
        cgroup: cgroup::trial(&id),
        hostname: "trial",
        root: &root,
        args: vec!["true".into()],
        env: Vec::new(),
        mounts: parts.map(bind).collect(),
    };
    spec::write(&machine, &dir)?;
    let mut command = Command::new(program);
    command.arg("--root").arg(dir.join("state")).args(["run", "--bundle"]).arg(&dir).arg(&id).process_group(0);
    let done = process::run(&mut command, "").await;
    done.and(remove_dir(&dir))
}

/// One `lab` tries runtimes at a time.
async fn turn(scratch: &Path) -> Result<File> {
    let what = || "wait for another `lab` that looks at the host";
    let path = scratch.join("trial.lock");
    let lock = tokio::task::spawn_blocking(move || {
        let file = File::create(path)?;
        file.lock().map(|()| file)
    });
    lock.await.context(what)?.context(what)
}

impl Engine {
    /// Makes the node's container without starting its first program; returns that program's process.
    pub async fn create(&self, bundle: Bundle<'_>) -> Result<u32> {
        let what = || "make the container";
        let place = bundle.place;
        let pid_file = place.dir.join("pid");
        let log = place.dir.join("runtime.log");
        remove_file(&pid_file)?;
        remove_file(&log)?;
        let console = || bundle.console.try_clone().map(Stdio::from).context(what);
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-c", CREATE, "sh", &bundle.overlay]);
        command.arg(&bundle.root).arg(&self.program).arg("--log").arg(&log).arg("--root").arg(state(place));
        command.args(["create", "--bundle"]).arg(&place.dir).arg("--pid-file").arg(&pid_file).arg(process::id(place));
        command.stdin(Stdio::null()).stdout(console()?).stderr(console()?).current_dir("/").process_group(0);
        let status = command.status().await.context(what)?;
        let pid = std::fs::read_to_string(&pid_file).ok().and_then(|text| text.trim().parse().ok());
        pid.filter(|_| status.success()).ok_or_else(|| Error::failed(what(), reason(place, &log)))
    }

    /// Starts the first program of a container that was made.
    pub async fn start(&self, place: &Place) -> Result<()> {
        let mut command = Command::new(&self.program);
        command.arg("--root").arg(state(place)).arg("start").arg(process::id(place));
        process::run(&mut command, "").await
    }
}

/// Where the runtime keeps its own records; nothing of them is needed to end and remove a node.
pub fn state(place: &Place) -> PathBuf {
    place.dir.join("runtime")
}

/// Processes that still make the node's container: those of a `lab` that was killed meanwhile.
pub fn find(place: &Place) -> Vec<crate::state::process::ProcessId> {
    let id = process::id(place);
    let programs = CANDIDATES.into_iter().chain(["unshare", "sh"]);
    programs.flat_map(|program| process::find_exact(program, id.as_ref())).collect()
}

fn reason(place: &Place, log: &Path) -> String {
    let said = [crate::state::tail::last_lines(log, 3), super::console::last_lines(place, 3)];
    said.into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn without_a_runtime_that_works_each_says_why() {
        let dir = tempfile::tempdir().unwrap();
        let error = choose(dir.path().as_os_str(), &dir.path().join("scratch")).await.unwrap_err();
        assert_eq!(error.exit_code(), 3);
        assert!(error.why.contains("crun is not installed; runc is not installed"), "{error}");
        assert!(error.hint.unwrap().contains("apt install -y runc"));
        let write = "printf '#!/bin/sh\necho no cgroups here >&2\nexit 1\n' > \"$0\" && chmod 755 \"$0\"";
        let runtime = dir.path().join("crun");
        assert!(std::process::Command::new("sh").arg("-c").arg(write).arg(&runtime).status().unwrap().success());
        let error = choose(dir.path().as_os_str(), &dir.path().join("scratch")).await.unwrap_err();
        assert!(error.why.contains("crun: no cgroups here; runc is not installed"), "{error}");
        // A refusal is not remembered, and what works is asked once.
        let write = "printf '#!/bin/sh\necho >> %s/asked\n' \"$1\" > \"$0\"";
        let wrote = std::process::Command::new("sh").arg("-c").arg(write).arg(&runtime).arg(dir.path()).status();
        assert!(wrote.unwrap().success());
        for _ in 0..2 {
            assert_eq!(choose(dir.path().as_os_str(), &dir.path().join("scratch")).await.unwrap().name, "crun");
        }
        assert_eq!(std::fs::read_to_string(dir.path().join("asked")).unwrap().lines().count(), 1);
    }
}
