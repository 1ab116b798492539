//! Nodes that are folders: scripts run on the host, in the node's folder, as the same user. For tests of everything above
//! the drivers; the folder's files say what the "host" knows, as a real driver asks the kernel.

use super::{Driver, Endpoint, Facts, Forward, NodeSpec, NodeState, Place, Stop};
use crate::error::{Context, Error, Result};
use crate::event::Stream;
use crate::executor::Reach;
use crate::lab::model::Node;
use crate::ssh::{Exit, Remote, Sink};
use crate::state::process::ProcessId;
use rustix::process::Signal;
use std::future::Future;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::process::Command;

/// The driver.
pub struct Fake {
    facts: Facts,
}

impl Fake {
    /// A driver whose nodes are as quick as the host.
    pub fn new() -> Self {
        let facts = Facts {
            name: "fake".into(),
            description: "fake: folders instead of nodes, for tests".into(),
            slowness: 1,
            emulated: false,
            nested_kernel: false,
            oom_adjust: true,
            cgroup_v1: false,
        };
        Self { facts }
    }
}

impl Default for Fake {
    fn default() -> Self {
        Self::new()
    }
}

/// The variable that every process of a node has: its value is the node's root, so that no other process has the same.
const MARK: &str = "LAB_NODE_ROOT";
/// How long a killed process may take to go.
const KILL: Duration = Duration::from_secs(20);

fn up_mark(place: &Place) -> PathBuf {
    place.dir.join("up")
}

/// The processes of a node.
fn processes(place: &Place) -> Vec<ProcessId> {
    let mark = [MARK.as_bytes(), b"=", place.dir.join("root").as_os_str().as_bytes()].concat();
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter_map(|pid| {
        // The identity first: should the pid change hands in between, it belongs to nobody.
        let process = ProcessId::of(pid)?;
        let environment = std::fs::read(format!("/proc/{pid}/environ")).ok()?;
        (environment.split(|b| *b == 0).any(|entry| entry == mark) && process.alive()).then_some(process)
    })
    .collect()
}

/// Ends all processes of a node, also those that are made meanwhile.
async fn end(place: &Place) -> Result<()> {
    loop {
        let found = processes(place);
        if found.is_empty() {
            return Ok(());
        }
        for process in &found {
            process.signal(Signal::KILL);
        }
        for process in found {
            if !process.gone(KILL).await {
                return Err(Error::failed("end the node's processes", format!("{} stays", process.pid)));
            }
        }
    }
}

impl Driver for Fake {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    async fn preflight(&self, _nodes: &[Node]) -> Vec<Error> {
        Vec::new()
    }

    async fn create(&self, spec: &NodeSpec) -> Result<()> {
        let root = spec.place.dir.join("root");
        std::fs::create_dir_all(&root).context(|| format!("make {}", root.display()))
    }

    async fn start(&self, spec: &NodeSpec) -> Result<Endpoint> {
        std::fs::write(up_mark(&spec.place), "").context(|| "start the node".to_owned())?;
        Ok(endpoint())
    }

    async fn forward(&self, place: &Place, forward: Forward) -> Result<()> {
        // The node's processes are the host's, and so are its ports: nothing to carry, only to remember.
        let text = format!("{}:{}", forward.host, forward.guest);
        std::fs::write(place.dir.join("forward"), text).context(|| "forward a port".to_owned())
    }

    async fn stop(&self, place: &Place, _how: Stop) -> Result<()> {
        end(place).await?;
        let _ = std::fs::remove_file(place.dir.join("silent"));
        match std::fs::remove_file(up_mark(place)) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e).context(|| "stop the node".to_owned()),
            _ => Ok(()),
        }
    }

    async fn destroy(&self, place: &Place) -> Result<()> {
        end(place).await?;
        match std::fs::remove_dir_all(&place.dir) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e).context(|| "destroy the node".to_owned()),
            _ => Ok(()),
        }
    }

    async fn inspect(&self, place: &Place) -> Result<NodeState> {
        Ok(match (place.dir.join("root").exists(), up_mark(place).exists()) {
            (false, _) => NodeState::Absent,
            (true, false) => NodeState::Stopped,
            (true, true) => NodeState::Running(endpoint()),
        })
    }

    async fn watch(&self, _place: &Place) -> Error {
        std::future::pending().await
    }

    async fn trouble(&self, place: &Place) -> Option<String> {
        std::fs::read_to_string(place.dir.join("trouble")).ok()
    }
}

fn endpoint() -> Endpoint {
    Endpoint { ssh: SocketAddr::from(([127, 0, 0, 1], 1)) }
}

/// Reaches a fake node: nothing is waited for.
pub struct FakeReach {
    /// The folder above the nodes' folders.
    pub nodes: PathBuf,
}

impl Reach for FakeReach {
    type Remote = FakeRemote;

    async fn reach(
        &self,
        node: &str,
        _endpoint: Endpoint,
        limit: Duration,
        _died: impl Future<Output = Error> + Send,
    ) -> Result<FakeRemote> {
        let remote = FakeRemote { dir: self.nodes.join(node) };
        match tokio::time::timeout(limit, remote.alive()).await {
            Ok(()) => Ok(remote),
            Err(_) => Err(Error::failed("reach the node", format!("no answer within {} s", limit.as_secs())).on(node)),
        }
    }
}

/// How often it is looked whether a node still hangs.
const LOOK: Duration = Duration::from_millis(20);

/// Runs commands in the node's folder.
pub struct FakeRemote {
    dir: PathBuf,
}

impl FakeRemote {
    /// Runs a command with these streams.
    pub async fn pipe(
        &self,
        command: &str,
        mut input: impl AsyncRead + Unpin,
        mut output: impl AsyncWrite + Unpin,
        mut errors: impl AsyncWrite + Unpin,
    ) -> Result<Exit> {
        let what = || "run a command".to_owned();
        let mut child = shell(&self.dir.join("root"), &self.dir, command).spawn().context(what)?;
        let missing = || Error::failed(what(), "it has no streams");
        let mut stdin = child.stdin.take().ok_or_else(missing)?;
        let (mut out, mut err) = (child.stdout.take().ok_or_else(missing)?, child.stderr.take().ok_or_else(missing)?);
        let feed = async {
            // A command that does not read its input is judged by its exit code.
            let _ = tokio::io::copy(&mut input, &mut stdin).await;
            drop(stdin);
            std::future::pending::<()>().await
        };
        let read = async {
            // A reader of ours that went away closes the command's output, as SIGPIPE does.
            let said = async {
                let _ = tokio::io::copy(&mut out, &mut output).await;
                drop(out);
                let _ = output.flush().await;
            };
            let _ = tokio::join!(said, tokio::io::copy(&mut err, &mut errors));
            let _ = errors.flush().await;
        };
        tokio::select! {
            () = read => {}
            () = feed => {}
        }
        let status = child.wait().await.context(what)?;
        Ok(status.code().and_then(|c| u32::try_from(c).ok()).map_or(Exit::Unknown, Exit::Code))
    }
}

impl Remote for FakeRemote {
    async fn exec(&self, command: &str, stdin: &[u8], sink: Sink<'_>) -> Result<Exit> {
        let what = || "run a command".to_owned();
        let root = self.dir.join("root");
        let mut child = shell(&root, &self.dir, command).spawn().context(what)?;
        let (input, out, err) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let write = async {
            if let Some(mut input) = input {
                // A command that does not read its input is judged by its exit code.
                let _ = input.write_all(stdin).await;
            }
        };
        let (mut out, mut err) = (
            out.ok_or_else(|| Error::failed(what(), "no stdout"))?,
            err.ok_or_else(|| Error::failed(what(), "no stderr"))?,
        );
        let read = async {
            let (mut a, mut b) = (vec![0; 8192], vec![0; 8192]);
            let (mut more_out, mut more_err) = (true, true);
            while more_out || more_err {
                tokio::select! {
                    n = out.read(&mut a), if more_out => match n {
                        Ok(n) if n > 0 => sink(Stream::Out, &a[..n]),
                        _ => more_out = false,
                    },
                    n = err.read(&mut b), if more_err => match n {
                        Ok(n) if n > 0 => sink(Stream::Err, &b[..n]),
                        _ => more_err = false,
                    },
                }
            }
        };
        tokio::join!(write, read);
        let status = child.wait().await.context(what)?;
        Ok(status.code().and_then(|c| u32::try_from(c).ok()).map_or(Exit::Unknown, Exit::Code))
    }

    async fn alive(&self) {
        // A node with this file hangs.
        while self.dir.join("silent").exists() {
            tokio::time::sleep(LOOK).await;
        }
    }
}

fn shell(root: &Path, dir: &Path, command: &str) -> Command {
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(command).current_dir(root).env("HOME", root);
    shell.env(MARK, root).env("LAB_NODE_RUN", dir.join("run"));
    shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    shell
}
