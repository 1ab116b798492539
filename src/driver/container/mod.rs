//! Nodes as system containers through an OCI runtime: systemd on the host's kernel, at full speed. Needs root for now.

mod host;
pub mod relay;
mod spec;
mod tree;

use super::{Driver, Endpoint, Facts, NodeSpec, NodeState, Place, Stop, console_log};
use crate::error::{Context, Error, Result};
use crate::lab::model::Node;
use crate::network;
use crate::state::process::ProcessId;
use crate::state::tail::last_lines;
use crate::state::write::atomically;
use rustix::process::Signal;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::process::Command;

/// How long systemd may take to power off before it is killed.
const POWER_OFF: Duration = Duration::from_secs(20);
/// How long a killed process may take to go.
const KILL: Duration = Duration::from_secs(20);
/// SIGRTMIN+3, which asks systemd to power off (systemd(1)); runc takes numbers.
const POWER_OFF_SIGNAL: &str = "37";

/// The driver.
pub struct Container {
    facts: Facts,
}

/// The first process of a node, by its folder.
fn process_record(dir: &Path) -> PathBuf {
    dir.join("process.json")
}

fn slirp_record(dir: &Path) -> PathBuf {
    dir.join("slirp.json")
}

/// A name for the runtime, the cgroup and the links of a node: short, and no two nodes of a host share it.
fn id(place: &Place) -> String {
    format!("lab-{}", &blake3::hash(place.dir.as_os_str().as_encoded_bytes()).to_hex()[..10])
}

/// The node's cgroup, one level below ours: systemd takes the whole of its own.
fn cgroup_path(place: &Place) -> String {
    format!("/{}/node", id(place))
}

fn load(path: &Path) -> Option<ProcessId> {
    serde_json::from_slice::<ProcessId>(&std::fs::read(path).ok()?).ok().filter(|p| p.alive())
}

fn keep(process: ProcessId, path: &Path) -> Result<()> {
    let text = serde_json::to_vec(&process).context(|| "record a process")?;
    atomically(path, &text, 0o600)
}

impl Default for Container {
    fn default() -> Self {
        Self::new()
    }
}

impl Container {
    /// The driver with what is true of this host.
    pub fn new() -> Self {
        let v1 = host::cgroup_v1();
        let oom_adjust = host::capabilities().contains("SYS_RESOURCE");
        let layout = if v1 { "cgroup v1" } else { "cgroup v2" };
        let description = format!("system containers by runc on the host's kernel ({layout}), full speed");
        let facts = Facts {
            name: "container".into(),
            description,
            slowness: 1,
            emulated: false,
            nested_kernel: true,
            oom_adjust,
            cgroup_v1: v1,
        };
        Self { facts }
    }

    /// Looks at the host before anything is made.
    pub fn look_at_host(nodes: &[Node]) -> Vec<Error> {
        host::problems(nodes)
    }

    /// Removes a node by its place alone.
    ///
    /// # Errors
    /// What could not be removed; the rest is.
    pub async fn remove(place: &Place) -> Result<()> {
        let ended = end(place, Stop::Kill).await;
        let removed = match std::fs::remove_dir_all(&place.dir) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                Err(e).context(|| format!("remove {}", place.dir.display()))
            }
            _ => Ok(()),
        };
        ended.and(removed).map_err(|e| e.on(&place.node))
    }

    async fn launch(&self, spec: &NodeSpec) -> Result<()> {
        let place = &spec.place;
        let layers = tree::Layers::of(spec);
        spec::write(spec, &self.facts, &layers.merged, &tree::volumes(spec), &place.dir.join("config.json"))?;
        let process = create(place, &layers).await?;
        keep(process, &process_record(&place.dir))?;
        connect(spec, process).await?;
        for (key, _) in tree::SYSCTLS {
            let file = format!("{}/{}", tree::SYSCTL_DIR, key.replace('/', "."));
            inside(process, &["-m", "mount", "--bind", &file, &format!("/proc/sys/{key}")]).await?;
        }
        // Programs that look for the kernel's messages find none: the host's are not a node's to read.
        inside(process, &["-m", "ln", "-s", "null", "/dev/kmsg"]).await?;
        runc(place, &["start", &id(place)]).await
    }
}

/// Makes the container; its root file system is mounted in a mount namespace of its own, so that the host's table of
/// mounts never shows it.
async fn create(place: &Place, layers: &tree::Layers) -> Result<ProcessId> {
    let what = || "make the container";
    let path = |p: &Path| p.display().to_string();
    let options =
        format!("lowerdir={},upperdir={},workdir={}", path(&layers.lower), path(&layers.upper), path(&layers.work));
    let pid_file = place.dir.join("pid");
    let _ = std::fs::remove_file(&pid_file);
    let console = std::fs::File::create(console_log(place)).context(what)?;
    let errors = console.try_clone().context(what)?;
    let script = "mount -t overlay overlay -o \"$1\" \"$2\" && shift 2 && exec \"$@\"";
    let status = Command::new("unshare")
        .args(["-m", "--propagation", "private", "sh", "-c", script, "sh", &options])
        .arg(&layers.merged)
        .args(["runc", "--root"])
        .arg(runtime_root(place))
        .args(["create", "--bundle"])
        .arg(&place.dir)
        .arg("--pid-file")
        .arg(&pid_file)
        .arg(id(place))
        .stdin(std::process::Stdio::null())
        .stdout(console)
        .stderr(errors)
        .status()
        .await
        .context(what)?;
    let pid = std::fs::read_to_string(&pid_file).ok().and_then(|t| t.trim().parse().ok());
    let process = pid.and_then(ProcessId::of).filter(|_| status.success());
    process.ok_or_else(|| Error::failed(what(), last_lines(&console_log(place), 5)))
}

fn runtime_root(place: &Place) -> PathBuf {
    place.dir.join("runc")
}

async fn runc(place: &Place, args: &[&str]) -> Result<()> {
    let output = Command::new("runc").arg("--root").arg(runtime_root(place)).args(args).output().await;
    let output = output.context(|| "run runc")?;
    if output.status.success() {
        return Ok(());
    }
    Err(Error::failed(format!("run runc {}", args[0]), String::from_utf8_lossy(&output.stderr).trim()))
}

/// Runs a command in namespaces of a process.
async fn inside(process: ProcessId, args: &[&str]) -> Result<()> {
    let output = Command::new("nsenter").arg("-t").arg(process.pid.to_string()).args(args).output().await;
    let output = output.context(|| "run nsenter")?;
    if output.status.success() {
        return Ok(());
    }
    Err(Error::failed(format!("run {}", args.join(" ")), String::from_utf8_lossy(&output.stderr).trim()))
}

/// Gives the node its links. Host-only ones are a bridge in the lab's own network namespace; nothing appears in the host's.
async fn connect(spec: &NodeSpec, node: ProcessId) -> Result<()> {
    let lab = network::process::find(&spec.place.run)
        .ok_or_else(|| Error::failed("connect the node", "the lab's background process does not run"))?;
    let pid = node.pid.to_string();
    let suffix = &id(&spec.place)[4..];
    for (index, link) in spec.node.links.iter().enumerate() {
        let port = format!("p{index}{suffix}");
        if link.address.is_none() && !spec.offline {
            slirp(&spec.place, node, &link.device).await?;
            inside(node, &["-n", "ip", "link", "set", &link.device, "address", &link.mac]).await?;
            continue;
        }
        // One that a killed node left behind.
        let _ = inside(lab, &["-n", "ip", "link", "del", &port]).await;
        let add = [
            "-n",
            "ip",
            "link",
            "add",
            &port,
            "type",
            "veth",
            "peer",
            "name",
            &link.device,
            "address",
            &link.mac,
            "netns",
            &pid,
        ];
        inside(lab, &add).await?;
        // Offline, eth0 has its addresses and a route, and leads nowhere.
        if link.address.is_some() {
            let bridge = format!("b-{}", &blake3::hash(link.network.as_bytes()).to_hex()[..8]);
            // There already for every node but the first.
            let _ = inside(lab, &["-n", "ip", "link", "add", &bridge, "type", "bridge"]).await;
            inside(lab, &["-n", "ip", "link", "set", &bridge, "up"]).await?;
            inside(lab, &["-n", "ip", "link", "set", &port, "master", &bridge]).await?;
        }
        inside(lab, &["-n", "ip", "link", "set", &port, "up"]).await?;
    }
    Ok(())
}

/// eth0 with a way out, by user-mode NAT. systemd-networkd in the node sets its addresses.
async fn slirp(place: &Place, node: ProcessId, device: &str) -> Result<()> {
    let what = || "start slirp4netns";
    let log = std::fs::File::create(place.dir.join("slirp.log")).context(what)?;
    let errors = log.try_clone().context(what)?;
    let (reader, writer) = std::io::pipe().context(what)?;
    // It writes a byte to this descriptor when the device is there; standard input is the one that it surely inherits.
    let child = Command::new("slirp4netns")
        .args(["--ready-fd=0", "--disable-host-loopback", "--mtu=1500", &node.pid.to_string(), device])
        .stdin(writer)
        .stdout(log)
        .stderr(errors)
        .current_dir("/")
        .process_group(0)
        .spawn()
        .context(what)?;
    let process = child.id().and_then(ProcessId::of).ok_or_else(|| Error::failed(what(), "it ended at once"))?;
    keep(process, &slirp_record(&place.dir))?;
    let ready = tokio::task::spawn_blocking(move || {
        let mut byte = [0];
        std::io::Read::read(&mut { reader }, &mut byte)
    });
    match ready.await {
        Ok(Ok(1)) => Ok(()),
        _ => Err(Error::failed(what(), last_lines(&place.dir.join("slirp.log"), 5))),
    }
}

/// Ends all processes of a node and forgets what the runtime and the kernel keep of it.
async fn end(place: &Place, how: Stop) -> Result<()> {
    if let Some(process) = load(&process_record(&place.dir)) {
        if how == Stop::Graceful && runc(place, &["kill", &id(place), POWER_OFF_SIGNAL]).await.is_ok() {
            process.gone(POWER_OFF).await;
        }
        process.signal(Signal::KILL);
        if !process.gone(KILL).await {
            return Err(Error::failed("end the node", format!("process {} stays after SIGKILL", process.pid)));
        }
    }
    if runtime_root(place).exists() {
        runc(place, &["delete", "--force", &id(place)]).await?;
    }
    let helpers = [relay::find(place).map(|(process, _)| process), load(&slirp_record(&place.dir))];
    for helper in helpers.into_iter().flatten() {
        helper.signal(Signal::KILL);
        helper.gone(KILL).await;
    }
    remove_cgroups(&id(place));
    Ok(())
}

/// The level above the runtime's own cgroup, in each hierarchy.
fn remove_cgroups(id: &str) {
    let root = Path::new("/sys/fs/cgroup");
    let mut folders = vec![root.join(id)];
    folders.extend(std::fs::read_dir(root).into_iter().flatten().flatten().map(|e| e.path().join(id)));
    for folder in folders {
        // Most hierarchies do not have it; one that is in use stays.
        let _ = std::fs::remove_dir(folder.join("node"));
        let _ = std::fs::remove_dir(folder);
    }
}

impl Driver for Container {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    async fn preflight(&self, nodes: &[Node]) -> Vec<Error> {
        host::problems(nodes)
    }

    async fn create(&self, spec: &NodeSpec) -> Result<()> {
        crate::paths::Paths::make_private(&spec.place.dir)?;
        tree::create(spec).map_err(|e| e.on(&spec.node.name))
    }

    async fn start(&self, spec: &NodeSpec) -> Result<Endpoint> {
        let place = &spec.place;
        if load(&process_record(&place.dir)).is_none() {
            // What a killed start left of the runtime's state stands in the way.
            end(place, Stop::Kill).await.map_err(|e| e.on(&place.node))?;
            if let Err(error) = self.launch(spec).await {
                end(place, Stop::Kill).await.map_err(|e| e.on(&place.node))?;
                return Err(error.on(&place.node));
            }
        }
        relay::spawn(place).await
    }

    async fn stop(&self, place: &Place, how: Stop) -> Result<()> {
        end(place, how).await.map_err(|e| e.on(&place.node))
    }

    async fn destroy(&self, place: &Place) -> Result<()> {
        Self::remove(place).await
    }

    async fn inspect(&self, place: &Place) -> Result<NodeState> {
        let alive = load(&process_record(&place.dir)).is_some();
        Ok(match (alive, relay::find(place)) {
            (true, Some((_, endpoint))) => NodeState::Running(endpoint),
            _ if place.dir.join("upper").exists() => NodeState::Stopped,
            _ => NodeState::Absent,
        })
    }

    async fn watch(&self, place: &Place) -> Error {
        let dead = || {
            let said = last_lines(&console_log(place), 10);
            let why = if said.is_empty() {
                "its first process ended".to_owned()
            } else {
                format!("its first process ended; it said last:\n{said}")
            };
            Error::failed("keep the node running", why).on(&place.node)
        };
        let Some(process) = load(&process_record(&place.dir)) else { return dead() };
        while !process.gone(Duration::from_secs(3600)).await {}
        dead()
    }
}
