//! The way from the host to a node's SSH port: a process that listens on 127.0.0.1 of the host and connects inside the
//! node's network namespace. It needs no NAT, so it works offline, and ends with the node.

use crate::driver::{Endpoint, Place};
use crate::error::{Context, Error, Result};
use crate::state::process::ProcessId;
use crate::state::write::atomically;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

/// The hidden verb of our own executable that runs a relay: `relay --node DIR`.
pub const VERB: &str = "relay";

/// How long a relay may take to listen.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a relay leaves in the node's folder once it listens.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Record {
    process: ProcessId,
    endpoint: Endpoint,
}

fn record(dir: &Path) -> PathBuf {
    dir.join("relay.json")
}

/// The node's relay, if it runs.
pub fn find(place: &Place) -> Option<(ProcessId, Endpoint)> {
    let record: Record = serde_json::from_slice(&std::fs::read(record(&place.dir)).ok()?).ok()?;
    record.process.alive().then_some((record.process, record.endpoint))
}

/// Starts the node's relay and returns where it listens.
pub async fn spawn(place: &Place) -> Result<Endpoint> {
    if let Some((_, endpoint)) = find(place) {
        return Ok(endpoint);
    }
    let what = || "start the way to the node's SSH port";
    let log = File::create(place.dir.join("relay.log")).context(what)?;
    let exe = std::env::current_exe().context(what)?;
    let mut child = tokio::process::Command::new(exe)
        .arg(VERB)
        .arg("--node")
        .arg(&place.dir)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        .current_dir("/")
        .process_group(0)
        .spawn()
        .context(what)?;
    if let Some(mut out) = child.stdout.take() {
        // The pipe ends when the relay listens or dies; the limit only guards against one that hangs.
        let mut said = Vec::new();
        let _ = tokio::time::timeout(PATIENCE, tokio::io::AsyncReadExt::read_to_end(&mut out, &mut said)).await;
    }
    let said = || crate::state::tail::last_lines(&place.dir.join("relay.log"), 5);
    find(place).map(|(_, endpoint)| endpoint).ok_or_else(|| Error::failed(what(), said()).on(&place.node))
}

/// Runs a relay until the node's first process is gone. Blocks.
pub fn run(dir: &Path) -> Result<()> {
    let what = || "relay to the node's SSH port";
    let text = std::fs::read(super::process_record(dir)).context(what)?;
    let node: ProcessId = serde_json::from_slice(&text).context(what)?;
    let namespace = File::open(format!("/proc/{}/ns/net", node.pid)).context(what)?;
    let listener = TcpListener::bind("127.0.0.1:0").context(what)?;
    let endpoint = Endpoint { ssh: listener.local_addr().context(what)? };
    let process = ProcessId::of(std::process::id()).ok_or_else(|| Error::failed(what(), "no identity"))?;
    let text = serde_json::to_vec(&Record { process, endpoint }).context(what)?;
    atomically(&record(dir), &text, 0o600)?;
    // Closing it tells who started us that we listen.
    let nothing = File::options().write(true).open("/dev/null").context(what)?;
    rustix::stdio::dup2_stdout(&nothing).context(what)?;
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            if let Ok(namespace) = namespace.try_clone() {
                std::thread::spawn(move || {
                    // A client whose node does not answer is hung up on, as a closed port would.
                    let _ = connect(namespace, client);
                });
            }
        }
    });
    // The process ends, and with it every connection, when the node does.
    while !node.wait(Duration::from_secs(3600)) {}
    Ok(())
}

/// Connects in the node's namespace, by a thread that stays there until it ends.
fn connect(namespace: File, client: TcpStream) -> std::io::Result<()> {
    move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
    let node = TcpStream::connect(("127.0.0.1", 22))?;
    for stream in [&client, &node] {
        stream.set_nodelay(true)?;
    }
    let (mut from_client, mut to_node) = (client.try_clone()?, node.try_clone()?);
    let up = std::thread::spawn(move || {
        let _ = std::io::copy(&mut from_client, &mut to_node);
        let _ = to_node.shutdown(std::net::Shutdown::Write);
    });
    let (mut from_node, mut to_client) = (node, client);
    let _ = std::io::copy(&mut from_node, &mut to_client);
    let _ = to_client.shutdown(std::net::Shutdown::Write);
    let _ = up.join();
    Ok(())
}
