//! Nodes as virtual machines of QEMU, without root.

mod accel;
mod args;
mod console;
mod disk;
mod host;
mod process;
pub mod qmp;

use self::accel::Choice;
use self::console::Console;
use self::host::Program;
use self::qmp::Qmp;
use super::{BaseImage, Driver, Endpoint, Facts, Forward, NodeSpec, NodeState, Place, Stop, console_log};
use crate::error::{Context, Error, Result};
use crate::lab::model::Node;
use crate::paths::Paths;
use crate::state::process::ProcessId;
use crate::state::tail::last_lines;
use crate::state::write::atomically;
use rustix::process::Signal;
use serde::{Deserialize, Serialize};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long QEMU may take for an answer; it answers late on a busy host.
const ANSWER: Duration = Duration::from_secs(60);
/// How long an accelerated guest may take to power off before it is killed.
const POWER_OFF: Duration = Duration::from_secs(20);
/// How often the guest's power button is pressed: one that is not up yet misses it.
const BUTTON: Duration = Duration::from_secs(2);
/// How long a killed process may take to go.
const KILL: Duration = Duration::from_secs(20);
/// How often a watched node's console is looked at. A file's growth can only be polled on every host.
const LOOK: Duration = Duration::from_millis(250);
/// How many lines of the console a message shows.
const LAST_LINES: usize = 15;

/// The driver.
pub struct Qemu {
    program: Program,
    choice: Choice,
    facts: Facts,
    image: BaseImage,
    state: PathBuf,
}

/// Where a process can be reached; void for any other process.
#[derive(Serialize, Deserialize)]
struct Reach {
    process: ProcessId,
    endpoint: Endpoint,
}

impl Qemu {
    /// Finds QEMU and the accelerator that works for this image on this host. The first time it boots the image's
    /// kernel for a moment; the answer is kept in `cache`. The nodes' disks will be below `state`.
    pub async fn detect(cache: &Path, state: &Path, image: &BaseImage) -> Result<Self> {
        let program = host::find(&std::env::var_os("PATH").unwrap_or_default()).await?;
        if let Some(problem) = image_problem(image) {
            return Err(problem);
        }
        let choice = accel::choose(&program, image, cache).await?;
        let facts = choice.facts(&program);
        Ok(Self { program, choice, facts, image: image.clone(), state: state.to_owned() })
    }

    /// Whether this host has hardware virtualisation that we may open. Whether it works shows only when it is tried.
    pub fn may_be_fast() -> bool {
        accel::is_there()
    }

    /// Looks at the host before anything is made, the image included: QEMU, memory, room for disks below `state`.
    pub async fn look_at_host(nodes: &[Node], state: &Path) -> Vec<Error> {
        let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let program = host::find(&std::env::var_os("PATH").unwrap_or_default()).await.err();
        [program, host::memory_problem(nodes, &meminfo), host::disk_problem(nodes, state)]
            .into_iter()
            .flatten()
            .collect()
    }

    /// Removes a node without anything but its place: its image may be gone, QEMU uninstalled.
    ///
    /// # Errors
    /// What could not be removed; the rest is.
    pub async fn remove(place: &Place) -> Result<()> {
        let killed = match process::find(place) {
            Some(process) => kill(process).await,
            None => Ok(()),
        };
        // Whatever failed before, what can go goes.
        let removed = remove_dir(&place.dir);
        killed.and(process::forget(place)).and(removed).map_err(|e| e.on(&place.node))
    }

    fn prepare(spec: &NodeSpec) -> Result<()> {
        let dir = args::credentials(&spec.place);
        Paths::make_private(&dir)?;
        Paths::make_private(&spec.place.run)?;
        for credential in spec.seed.credentials(&spec.node) {
            atomically(&dir.join(credential.name), credential.content.as_bytes(), 0o600)?;
        }
        Ok(())
    }

    async fn launch(&self, spec: &NodeSpec) -> Result<Endpoint> {
        let place = &spec.place;
        let arguments = args::arguments(spec, self.choice.accelerator, self.program.version)?;
        Self::prepare(spec)?;
        // The last run's words must not be taken for this one's.
        process::remove(&console_log(place))?;
        let process = process::spawn(&self.program, &arguments, place).or_else(|e| {
            process::forget(place)?;
            Err(e)
        })?;
        match reach(place, process).await {
            Ok(endpoint) => Ok(endpoint),
            Err(e) => {
                let said = last_lines(&process::log(place), LAST_LINES);
                let hint = format!("its log is {}", process::log(place).display());
                let e = Error::failed("start QEMU", if said.is_empty() { e.why } else { said }).hint(hint);
                kill(process).await?;
                process::forget(place)?;
                Err(e)
            }
        }
    }

    async fn end(&self, place: &Place, how: Stop) -> Result<()> {
        if let Some(process) = process::find(place) {
            let limit = POWER_OFF.saturating_mul(u32::try_from(self.facts.slowness).unwrap_or(u32::MAX));
            if how == Stop::Kill || !power_off(place, process, limit).await {
                kill(process).await?;
            }
        }
        process::forget(place)
    }
}

/// What is missing in an image's folder.
fn image_problem(image: &BaseImage) -> Option<Error> {
    let missing = ["disk.qcow2", "vmlinuz", "initrd.img"].into_iter().find(|f| !image.dir.join(f).is_file())?;
    let why = format!("{} is missing", image.dir.join(missing).display());
    Some(Error::host("use the image", why).hint("lab image build"))
}

/// Where the process can be reached: as recorded for this very process, else as it says itself.
async fn reach(place: &Place, process: ProcessId) -> Result<Endpoint> {
    let file = place.dir.join("endpoint.json");
    let known = std::fs::read(&file).ok().and_then(|text| serde_json::from_slice::<Reach>(&text).ok());
    if let Some(reach) = known.filter(|reach| reach.process == process) {
        return Ok(reach.endpoint);
    }
    let what = || "ask QEMU for the node's SSH port";
    let mut qmp = Qmp::connect(&process::qmp_socket(place), ANSWER).await.context(what)?;
    let endpoint = Endpoint { ssh: qmp.ssh_address().await.context(what)? };
    let text = serde_json::to_vec(&Reach { process, endpoint: endpoint.clone() }).context(what)?;
    atomically(&file, &text, 0o600)?;
    Ok(endpoint)
}

/// Presses the power button until the process is gone; false when it stays, or QEMU does not listen.
async fn power_off(place: &Place, process: ProcessId, limit: Duration) -> bool {
    let began = Instant::now();
    let Ok(mut qmp) = Qmp::connect(&process::qmp_socket(place), ANSWER).await else { return !process.alive() };
    while began.elapsed() < limit {
        // An error here is a QEMU that is just ending, or one that will be killed.
        let pressed = qmp.power_down().await;
        if process.gone(BUTTON).await {
            return true;
        }
        if pressed.is_err() {
            return false;
        }
    }
    false
}

async fn kill(process: ProcessId) -> Result<()> {
    process.signal(Signal::KILL);
    if process.gone(KILL).await {
        return Ok(());
    }
    Err(Error::failed("end QEMU", format!("process {} stays after SIGKILL", process.pid))
        .hint(format!("look at what it waits for: cat /proc/{}/wchan", process.pid)))
}

fn remove_dir(dir: &Path) -> Result<()> {
    match std::fs::remove_dir_all(dir) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(e).context(|| format!("remove {}", dir.display())),
        _ => Ok(()),
    }
}

/// The end of a node, told with what it said last.
fn death(place: &Place, why: &str) -> Error {
    let log = console_log(place);
    let said = [last_lines(&process::log(place), LAST_LINES), last_lines(&log, LAST_LINES)];
    let said: Vec<_> = said.into_iter().filter(|s| !s.is_empty()).collect();
    let why = if said.is_empty() { why.to_owned() } else { format!("{why}; it said last:\n{}", said.join("\n")) };
    Error::failed("keep the node running", why).on(&place.node).hint(format!("its console is {}", log.display()))
}

impl Driver for Qemu {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    async fn preflight(&self, nodes: &[Node]) -> Vec<Error> {
        image_problem(&self.image).into_iter().chain(Self::look_at_host(nodes, &self.state).await).collect()
    }

    async fn create(&self, spec: &NodeSpec) -> Result<()> {
        Self::prepare(spec).map_err(|e| e.on(&spec.node.name))?;
        let disk = args::disk(&spec.place);
        disk::create(&self.program, &spec.image, &disk, spec.node.disk).await.map_err(|e| e.on(&spec.node.name))
    }

    async fn start(&self, spec: &NodeSpec) -> Result<Endpoint> {
        let started = match process::find(&spec.place) {
            Some(process) => reach(&spec.place, process).await,
            None => self.launch(spec).await,
        };
        started.map_err(|e| e.on(&spec.node.name))
    }

    async fn forward(&self, place: &Place, forward: Forward) -> Result<()> {
        let what = || format!("forward port {} of 127.0.0.1 to the node", forward.host);
        let mut qmp = Qmp::connect(&process::qmp_socket(place), ANSWER).await.context(what)?;
        qmp.forward(forward).await.context(what).map_err(|e| e.on(&place.node))
    }

    async fn stop(&self, place: &Place, how: Stop) -> Result<()> {
        self.end(place, how).await.map_err(|e| e.on(&place.node))
    }

    async fn destroy(&self, place: &Place) -> Result<()> {
        Self::remove(place).await
    }

    async fn inspect(&self, place: &Place) -> Result<NodeState> {
        match process::find(place) {
            Some(process) => match reach(place, process).await {
                Ok(endpoint) => Ok(NodeState::Running(endpoint)),
                // It ended while it was asked.
                Err(_) if !process.alive() => Ok(NodeState::Stopped),
                Err(e) => Err(e.on(&place.node)),
            },
            None if args::disk(place).exists() => Ok(NodeState::Stopped),
            None => Ok(NodeState::Absent),
        }
    }

    async fn watch(&self, place: &Place) -> Error {
        let Some(process) = process::find(place) else { return death(place, "QEMU does not run") };
        let mut console = Console::new(console_log(place));
        loop {
            // Ends at once with the process.
            let gone = process.gone(LOOK).await;
            if console.panicked().unwrap_or(false) {
                return death(place, "its kernel panicked");
            }
            if gone {
                return death(place, "its QEMU ended");
            }
        }
    }

    async fn trouble(&self, place: &Place) -> Option<String> {
        if !process::was_started(place) {
            return None;
        }
        let log = console_log(place);
        let panicked = Console::new(log.clone()).panicked().unwrap_or(false);
        let end = match (panicked, process::find(place).is_none()) {
            (true, _) => Some("its kernel panicked".to_owned()),
            (false, true) => Some("its QEMU ended: powered off from inside, or killed".to_owned()),
            (false, false) => None,
        };
        let kills = match console::memory_kills(&log) {
            0 => None,
            1 => Some("its kernel killed a process because memory was full".to_owned()),
            n => Some(format!("its kernel killed {n} processes because memory was full")),
        };
        let parts: Vec<String> = [end, kills].into_iter().flatten().collect();
        (!parts.is_empty()).then(|| parts.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::accel::Accelerator;
    use super::host::Version;
    use super::host::tests::executable;
    use super::*;
    use crate::lab::model::Link;
    use crate::seed::Seed;

    /// A driver whose programs are shell scripts, and a node for it.
    fn driver(dir: &Path, qemu: &str) -> (Qemu, NodeSpec) {
        let (system, img) = (dir.join("qemu-system-test"), dir.join("qemu-img"));
        executable(&system, qemu);
        let info = r#"case $1 in info) echo "{\"virtual-size\": 1024}";; *) for word; do before=$last; last=$word; done; echo made > "$before";; esac"#;
        executable(&img, info);
        let program = Program { system, img, version: Version(10, 0, 2) };
        let choice = Choice { accelerator: Accelerator::Tcg, why_not: None };
        let image = BaseImage { key: "k".into(), dir: dir.join("image") };
        let facts = choice.facts(&program);
        let link = Link {
            device: "eth0".into(),
            network: "nat".into(),
            address: None,
            prefix: 24,
            mac: "52:54:00:00:00:01".into(),
        };
        let spec = NodeSpec {
            lab: "l".into(),
            node: Node { name: "n1".into(), cpus: 1, memory: 1 << 30, disk: 1 << 30, links: vec![link] },
            place: Place { lab: "l".into(), node: "n1".into(), dir: dir.join("state/n1"), run: dir.join("run") },
            image: image.clone(),
            seed: Seed {
                hostname: "n1".into(),
                authorized_key: "k".into(),
                host_key: "secret".into(),
                host_key_public: "p".into(),
                hosts: vec![],
            },
            offline: true,
            ports: vec![],
        };
        (Qemu { program, choice, facts, image, state: dir.join("state") }, spec)
    }

    #[tokio::test]
    async fn a_qemu_that_ends_at_once_says_why_and_leaves_nothing_running() {
        let dir = tempfile::tempdir().unwrap();
        let (qemu, spec) = driver(dir.path(), "echo no such machine >&2; exit 1");
        assert_eq!(qemu.inspect(&spec.place).await.unwrap(), NodeState::Absent);
        qemu.create(&spec).await.unwrap();
        assert_eq!(qemu.inspect(&spec.place).await.unwrap(), NodeState::Stopped);
        let e = qemu.start(&spec).await.unwrap_err();
        assert!(e.why.contains("no such machine"), "{e}");
        assert_eq!(e.node.as_deref(), Some("n1"));
        assert!(qemu.watch(&spec.place).await.why.contains("no such machine"));
        assert_eq!(std::fs::read_dir(&spec.place.run).unwrap().count(), 0);
        qemu.stop(&spec.place, Stop::Graceful).await.unwrap();
        qemu.destroy(&spec.place).await.unwrap();
        qemu.destroy(&spec.place).await.unwrap();
        assert_eq!(std::fs::read_dir(&qemu.state).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn making_twice_keeps_the_disk_and_too_small_a_disk_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let (qemu, mut spec) = driver(dir.path(), "exit 1");
        let disk = args::disk(&spec.place);
        spec.node.disk = 512;
        assert_eq!(qemu.create(&spec).await.unwrap_err().exit_code(), 2);
        assert!(!disk.exists());
        spec.node.disk = 2048;
        qemu.create(&spec).await.unwrap();
        std::fs::write(&disk, "written by the node").unwrap();
        qemu.create(&spec).await.unwrap();
        assert_eq!(std::fs::read(&disk).unwrap(), b"written by the node");
        let secret = args::credentials(&spec.place).join("tmpfiles.extra");
        assert_eq!(std::fs::metadata(secret).unwrap().permissions().mode() & 0o777, 0o600);
        let problems = qemu.preflight(std::slice::from_ref(&spec.node)).await;
        assert!(problems[0].why.contains("disk.qcow2 is missing"), "{problems:?}");
    }
}
