//! Nodes as system containers through an OCI runtime: systemd on the host's kernel, at full speed. Made by root, or by an
//! ordinary user in a user namespace of his own.
//!
//! A node's namespaces hold nearly all that is made for it: its mounts, its links, its processes end with its first
//! process. What is outside is found by names that follow from the node's place alone: cgroups, two helpers, a folder.

mod capability;
mod cgroup;
mod console;
mod death;
mod disk;
mod emulated;
mod engine;
mod folder;
mod host;
mod keep;
mod kernel;
mod lan;
mod leftover;
mod memory;
mod nat;
mod ordinary;
mod process;
mod ready;
mod rootless;
mod spec;

pub use self::keep::background as keeper;
pub use self::leftover::{Group, find as leftovers};
pub use self::ordinary::missing_ids;
pub use self::rootless::{Standing, enter, inside, standing};

use self::disk::Disk;
use self::engine::{Bundle, Engine};
use super::{Driver, EMULATION_COST, Endpoint, Facts, Forward, NodeSpec, NodeState, Place, Stop};
use crate::error::{Context, Error, Result};
use crate::lab::model::Node;
use crate::paths::Paths;
use crate::state::process::ProcessId;
use crate::state::write::atomically;
use serde_json::{Value as Json, json};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::process::Command;

/// How long systemd may take to power off before it is killed.
const POWER_OFF: Duration = Duration::from_secs(20);
/// What asks systemd to power off (systemd(1), signals).
const POWER_OFF_SIGNAL: &str = "RTMIN+3";

/// The driver.
pub struct Container {
    /// None outside of the user namespace in which alone this user can make nodes: all else works there.
    engine: Option<Engine>,
    facts: Facts,
}

impl Container {
    /// Finds a runtime that works on this host, by making a small machine with it below `cache`.
    ///
    /// # Errors
    /// None works; the reason of each is told.
    pub async fn detect(cache: &Path) -> Result<Self> {
        let stands = standing();
        if stands == Standing::Inside {
            rootless::settle(Path::new(cgroup::ROOT))?;
        }
        let path = std::env::var_os("PATH").unwrap_or_default();
        let engine = if stands == Standing::Outside { None } else { Some(engine::choose(&path, cache).await?) };
        let v1 = cgroup::is_v1();
        let emulated = emulated::is_host();
        let facts = Facts {
            name: "container".into(),
            description: description(engine.as_ref(), stands, v1, emulated),
            slowness: if emulated { EMULATION_COST } else { 1 },
            emulated,
            nested_kernel: true,
            oom_adjust: capability::may_adjust_oom(),
            cgroup_v1: v1,
        };
        Ok(Self { engine, facts })
    }

    /// Looks at the host before anything is made; the nodes will be below `state`.
    pub fn look_at_host(nodes: &[Node], state: &Path) -> Vec<Error> {
        let mut all = host::problems(nodes);
        all.extend(folder::problem(state, nodes.len()));
        all
    }

    /// Removes a node by its place alone: its image may be gone, the runtime uninstalled.
    ///
    /// # Errors
    /// What could not be removed; the rest is.
    pub async fn remove(place: &Place) -> Result<()> {
        let ended = end(place).await;
        let mut removed = disk::remove_dir(&place.dir);
        if removed.is_err() && standing() == Standing::Outside {
            removed = rootless::remove_dir(&place.dir).await;
        }
        ended.and(removed).map_err(|e| e.on(&place.node))
    }

    /// Makes the container, gives it links and limits, starts its systemd.
    async fn launch(&self, spec: &NodeSpec) -> Result<()> {
        let place = &spec.place;
        let outside = || Error::failed("make the container", "this `lab` is not in the user's namespace of nodes");
        let engine = self.engine.as_ref().ok_or_else(|| outside().hint(format!("lab up {}", spec.lab)))?;
        let id = process::id(place);
        let disk = Disk::of(spec);
        kernel::write_files(&place.dir.join("sysctl"))?;
        let console = console::open(place)?;
        let boot = ready::listen(place)?;
        let (args, env) = spec::systemd(self.facts.cgroup_v1, &machine_id(spec));
        let root = disk.root();
        let mounts = mounts(place, &disk, &console.device);
        let machine =
            spec::Machine { cgroup: cgroup::path(&id), hostname: &spec.seed.hostname, root: &root, args, env, mounts };
        spec::write(&machine, &place.dir)?;
        let bundle = Bundle { place, overlay: disk.root_options(), root: root.clone(), console: console.end };
        let pid = engine.create(bundle).await?;
        let node = ProcessId::of(pid).ok_or_else(|| Error::failed("make the container", "it ended at once"))?;
        cgroup::limit(&id, &spec.node)?;
        connect(spec, node).await?;
        kernel::prepare(&place.dir.join("sysctl"), node).await?;
        engine.start(place).await?;
        // Last: a node with a record is one whose systemd was started with all that it needs.
        let text = serde_json::to_vec(&node).context(|| "record the node's process")?;
        atomically(&record(place), &text, 0o600)?;
        boot.wait(node).await;
        Ok(())
    }

    async fn up(&self, spec: &NodeSpec) -> Result<Endpoint> {
        let place = &spec.place;
        Paths::make_private(&place.run)?;
        // The lab's keeper may be about to start the very same node.
        let _turn = process::turn(place.socket("lock")).await?;
        if let Some(node) = first_process(place) {
            if nat::find(place).is_empty() {
                serve(spec, node).await?;
            }
            return nat::forward(place).await;
        }
        // What a killed start left stands in the way.
        end(place).await?;
        self.launch(spec).await?;
        let endpoint = nat::forward(place).await;
        keep::tell(place);
        endpoint
    }
}

/// What the nodes are, for people.
fn description(engine: Option<&Engine>, stands: Standing, v1: bool, emulated: bool) -> String {
    let host = if emulated { "the emulated host's" } else { "the host's" };
    let layout = if v1 { "cgroup v1" } else { "cgroup v2" };
    let namespace = if stands == Standing::Root { "" } else { ", in a user namespace" };
    let refused = engine.map(|e| e.refused.join("; ")).filter(|refused| !refused.is_empty());
    let refused = refused.map(|refused| format!(" ({refused})")).unwrap_or_default();
    let by = engine.map(|e| format!(" by {}", e.name)).unwrap_or_default();
    format!("system containers{by} on {host} kernel{namespace}, {layout}{refused}")
}

/// The machine id: the same at every start of a node.
fn machine_id(spec: &NodeSpec) -> String {
    let text = format!("{}\n{}\n{}", spec.lab, spec.node.name, spec.seed.host_key_public);
    blake3::hash(text.as_bytes()).to_hex()[..32].to_owned()
}

fn credentials(place: &Place) -> PathBuf {
    place.dir.join("credentials")
}

/// The identity of the node's first process.
fn record(place: &Place) -> PathBuf {
    place.dir.join("process.json")
}

fn first_process(place: &Place) -> Option<ProcessId> {
    let text = std::fs::read(record(place)).ok()?;
    serde_json::from_slice::<ProcessId>(&text).ok().filter(|process| process.alive())
}

/// Writes the node's files.
fn make(spec: &NodeSpec) -> Result<()> {
    let credentials = credentials(&spec.place);
    Paths::make_private(&credentials)?;
    for credential in spec.seed.credentials(&spec.node) {
        atomically(&credentials.join(credential.name), credential.content.as_bytes(), 0o600)?;
    }
    Disk::of(spec).create()
}

/// What a node has mounted beside what every machine has.
fn mounts(place: &Place, disk: &Disk, console: &Path) -> Vec<Json> {
    let bind = |to: &str, from: &Path, mode: &str| json!({"destination": to, "type": "bind", "source": from, "options": ["bind", mode]});
    let mut all = vec![
        bind("/run/host/credentials", &credentials(place), "ro"),
        bind(kernel::INSIDE, &place.dir.join("sysctl"), "rw"),
        bind(ready::INSIDE, &ready::socket(place), "rw"),
        bind("/dev/console", console, "rw"),
    ];
    all.extend(disk.mounts());
    all
}

/// Gives a node that is made but not started its links.
async fn connect(spec: &NodeSpec, node: ProcessId) -> Result<()> {
    let namespace = PathBuf::from(format!("/proc/{}/ns/net", node.pid));
    for link in spec.node.links.iter().filter(|l| l.address.is_none()) {
        lan::ip(&namespace, &nat::device(&link.device, &link.mac)).await?;
    }
    serve(spec, node).await
}

/// Connects the node's links on the host's side.
async fn serve(spec: &NodeSpec, node: ProcessId) -> Result<()> {
    if spec.offline
        && let Some(problem) = host::offline_problem()
    {
        return Err(problem);
    }
    let nat = spec.node.links.iter().find(|l| l.address.is_none());
    let nat = nat.ok_or_else(|| Error::failed("connect the node", "it has no link to a network of the kind `nat`"))?;
    let lan = lan::open(&spec.place).await?;
    lan.connect(spec, node).await?;
    let held = lan.namespace.try_clone().context(|| "keep the lab's network namespace")?;
    nat::spawn(&spec.place, node, &nat.device, spec.offline, held).await
}

/// Asks systemd to power off and waits; whether it did.
async fn power_off(node: ProcessId) -> bool {
    let mut kill = Command::new("kill");
    // The identity was looked at a moment ago, and the process is the first of a namespace: it does not end by itself.
    let asked = process::run(kill.args(["-s", POWER_OFF_SIGNAL, "--", &node.pid.to_string()]), "").await;
    asked.is_ok() && node.gone(POWER_OFF).await
}

/// Ends all processes of a node, whatever state it is in, and removes its cgroups. Goes on past errors.
async fn end(place: &Place) -> Result<()> {
    cgroup::thaw(&cgroup::levels(place));
    // First what could still make processes, then the node, then those that serve it.
    let mut makers = engine::find(place);
    makers.extend(disk::find_copying(&place.dir));
    let made = process::kill(&makers).await;
    let node = process::kill(first_process(place).as_slice()).await;
    let grouped = cgroup::remove(place).await;
    let mut helpers = nat::find(place);
    helpers.extend(console::find(place));
    let helped = process::kill(&helpers).await;
    let files = [record(place), nat::socket(place), ready::socket(place), memory::counted(place)];
    let forgotten = files.iter().map(|file| disk::remove_file(file)).fold(Ok(()), Result::and);
    let runtime = disk::remove_dir(&engine::state(place));
    made.and(node).and(grouped).and(helped).and(forgotten).and(runtime)
}

impl Driver for Container {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    async fn preflight(&self, nodes: &[Node]) -> Vec<Error> {
        host::problems(nodes)
    }

    async fn create(&self, spec: &NodeSpec) -> Result<()> {
        process::kill(&disk::find_copying(&spec.place.dir)).await.map_err(|e| e.on(&spec.node.name))?;
        let of = spec.clone();
        let made = tokio::task::spawn_blocking(move || make(&of)).await;
        made.context(|| "make the node's files").and_then(|made| made).map_err(|e| e.on(&spec.node.name))
    }

    async fn start(&self, spec: &NodeSpec) -> Result<Endpoint> {
        match self.up(spec).await {
            Ok(endpoint) => Ok(endpoint),
            Err(error) => {
                // A node that runs stays as it is; one that was being made is taken back, the first error counts.
                if first_process(&spec.place).is_none() {
                    let _ = end(&spec.place).await;
                }
                Err(error.on(&spec.place.node))
            }
        }
    }

    async fn forward(&self, place: &Place, forward: Forward) -> Result<()> {
        nat::listen(place, forward).await.map_err(|e| e.on(&place.node))
    }

    async fn stop(&self, place: &Place, how: Stop) -> Result<()> {
        if let (Stop::Graceful, Some(node)) = (how, first_process(place)) {
            // One that does not listen is killed.
            power_off(node).await;
        }
        end(place).await.map_err(|e| e.on(&place.node))
    }

    async fn destroy(&self, place: &Place) -> Result<()> {
        Self::remove(place).await
    }

    async fn inspect(&self, place: &Place) -> Result<NodeState> {
        // A node that nobody can reach is not running in any useful sense: `start` mends it.
        let up = first_process(place).is_some() && !nat::find(place).is_empty();
        if up && let Some(endpoint) = nat::endpoint(place).await.map_err(|e| e.on(&place.node))? {
            return Ok(NodeState::Running(endpoint));
        }
        Ok(if Disk::exists(&place.dir) { NodeState::Stopped } else { NodeState::Absent })
    }

    async fn watch(&self, place: &Place) -> Error {
        while let Some(node) = first_process(place) {
            process::ended(node).await;
            if !death::rebooted(place).await || !death::started_again(place).await {
                break;
            }
        }
        death::tell(place)
    }

    async fn trouble(&self, place: &Place) -> Option<String> {
        // A node that was stopped by us has no record.
        let died = record(place).exists() && first_process(place).is_none();
        let parts = [died.then(|| death::cause(place).to_owned()), death::memory_kills(place)];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        (!parts.is_empty()).then(|| parts.join("; "))
    }
}
