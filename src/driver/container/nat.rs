//! eth0 of a node: user-mode NAT by slirp4netns, which also listens on 127.0.0.1 of the host for the node's SSH port.
//! The device is a TAP that stays when slirp4netns dies, so that another one takes over where it was.

use super::disk::remove_file;
use super::process;
use crate::driver::{Endpoint, Forward, Place};
use crate::error::{Context, Error, Result};
use crate::state::process::{ProcessId, detached};
use crate::state::tail::last_lines;
use crate::state::write::atomically;
use serde_json::{Value as Json, json};
use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

/// The node's address on NAT, in every node the same.
const GUEST: &str = "10.0.2.15";

/// An address of the class that no host has. Offline, everything that would leave is sent from it: the kernel refuses
/// that at once, while the forward to the SSH port goes on working. slirp4netns has no other switch for it.
const NOWHERE: Ipv4Addr = Ipv4Addr::new(240, 0, 0, 1);

/// How long slirp4netns may take for an answer; it answers late on a busy host.
const ANSWER: Duration = Duration::from_secs(20);

/// How many free ports are tried: somebody else may take one between our look and slirp4netns's use.
const PORTS: usize = 20;

/// Where slirp4netns takes questions.
pub fn socket(place: &Place) -> PathBuf {
    place.socket("nat")
}

/// The argument that no other process has.
fn mark(place: &Place) -> OsString {
    let mut mark = OsString::from("--api-socket=");
    mark.push(socket(place));
    mark
}

/// The processes that serve the node: one, or none.
pub fn find(place: &Place) -> Vec<ProcessId> {
    process::find_exact("slirp4netns", &mark(place))
}

/// All such processes of a lab.
pub fn find_all(place: &Place) -> Vec<ProcessId> {
    let mut start = OsString::from("--api-socket=");
    start.push(place.run.join(""));
    process::find("slirp4netns", |argument| argument.starts_with(start.as_encoded_bytes()))
}

/// Commands of ip(8) that make the node's device; slirp4netns finds it by its name.
pub fn device(name: &str, mac: &str) -> String {
    format!("link set lo up\ntuntap add dev {name} mode tap\nlink set {name} address {mac}\n")
}

/// Whether a process may use any address as its own: then nothing would hold the traffic of an offline node back.
pub fn leaks_offline() -> bool {
    UdpSocket::bind((NOWHERE, 0)).is_ok()
}

/// Starts slirp4netns for the node and returns when it serves the device. It keeps `lan` open as its standard input.
pub async fn spawn(place: &Place, node: ProcessId, name: &str, offline: bool, lan: File) -> Result<()> {
    let what = || "start slirp4netns";
    // One that was killed leaves its socket.
    remove_file(&socket(place))?;
    let log = place.dir.join("nat.log");
    let errors = File::create(&log).context(what)?;
    let (mut ready, writer) = std::io::pipe().context(what)?;
    // Only the standard three descriptors reach it, so a shell puts them in their places.
    let mut child = detached("sh")
        .args(["-c", "exec \"$@\" 3>&1 1>&2", "sh", "slirp4netns", "--ready-fd=3", "--mtu=1500"])
        .arg("--disable-host-loopback")
        .args(offline.then_some("--disable-dns"))
        .args(offline.then(|| format!("--outbound-addr={NOWHERE}")))
        .arg(mark(place))
        .args([&node.pid.to_string(), name])
        .stdin(Stdio::from(lan))
        .stdout(writer)
        .stderr(errors)
        .spawn()
        .context(what)?;
    let said = tokio::task::spawn_blocking(move || {
        let mut said = [0];
        let count = ready.read(&mut said);
        // It goes on without us; one that ended already is not left behind as a zombie.
        let _ = child.try_wait();
        count
    });
    match said.await {
        Ok(Ok(1)) => Ok(()),
        _ => Err(Error::failed(what(), last_lines(&log, 5))),
    }
}

/// Where the node's SSH port is reached: the forward that slirp4netns has, or a new one.
pub async fn forward(place: &Place) -> Result<Endpoint> {
    if let Some(endpoint) = endpoint(place).await? {
        return Ok(endpoint);
    }
    let what = || "forward a port to the node";
    let mut refused = String::new();
    // The same as before where it is free: who waits for the node to come back waits there.
    let file = place.dir.join("ssh-port");
    let mut before = std::fs::read_to_string(&file).ok().and_then(|text| text.trim().parse::<u16>().ok());
    for _ in 0..PORTS {
        let free = || TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).context(what);
        let port = match before.take() {
            Some(port) => port,
            None => free()?.port(),
        };
        let answer = add(place, Forward { host: port, guest: 22 }).await?;
        if answer.get("return").is_some() {
            atomically(&file, port.to_string().as_bytes(), 0o600)?;
            return Ok(Endpoint { ssh: SocketAddr::from(([127, 0, 0, 1], port)) });
        }
        refused = answer.to_string();
    }
    Err(Error::failed(what(), refused))
}

/// Lets slirp4netns listen for another port of the node; one that it has already is left.
pub async fn listen(place: &Place, forward: Forward) -> Result<()> {
    let table = ask(place, &json!({"execute": "list_hostfwd"})).await?;
    let there = |e: &Json| e["host_port"] == forward.host && e["guest_port"] == forward.guest;
    if entries(&table).is_some_and(|all| all.iter().any(there)) {
        return Ok(());
    }
    let answer = add(place, forward).await?;
    match answer.get("return") {
        Some(_) => Ok(()),
        None => {
            let why = answer.pointer("/error/desc").and_then(Json::as_str).unwrap_or("slirp4netns gives no reason");
            Err(Error::failed(format!("forward port {} of 127.0.0.1 to the node", forward.host), why))
        }
    }
}

async fn add(place: &Place, forward: Forward) -> Result<Json> {
    let arguments = json!({
        "proto": "tcp", "host_addr": "127.0.0.1", "host_port": forward.host,
        "guest_addr": GUEST, "guest_port": forward.guest
    });
    ask(place, &json!({"execute": "add_hostfwd", "arguments": arguments})).await
}

/// Where slirp4netns says that it listens, if it does.
pub async fn endpoint(place: &Place) -> Result<Option<Endpoint>> {
    let answer = ask(place, &json!({"execute": "list_hostfwd"})).await?;
    Ok(ssh_port(&answer).map(|port| Endpoint { ssh: SocketAddr::from(([127, 0, 0, 1], port)) }))
}

fn entries(answer: &Json) -> Option<&Vec<Json>> {
    answer.pointer("/return/entries").or_else(|| answer.get("entries"))?.as_array()
}

fn ssh_port(answer: &Json) -> Option<u16> {
    let ssh = entries(answer)?.iter().find(|e| e["guest_port"] == 22)?;
    u16::try_from(ssh["host_port"].as_u64()?).ok()
}

async fn ask(place: &Place, question: &Json) -> Result<Json> {
    ask_within(ANSWER, place, question).await
}

async fn ask_within(limit: Duration, place: &Place, question: &Json) -> Result<Json> {
    let what = || "ask slirp4netns";
    let Ok(answer) = tokio::time::timeout(limit, answer(place, question)).await else {
        let why = format!("it did not answer within {} s: it hangs", limit.as_secs());
        let pids: Vec<String> = find(place).iter().map(|process| process.pid.to_string()).collect();
        return Err(Error::failed(what(), why).hint(format!("kill -KILL {}; another one is started", pids.join(" "))));
    };
    answer
}

async fn answer(place: &Place, question: &Json) -> Result<Json> {
    let what = || "ask slirp4netns";
    let mut stream = UnixStream::connect(socket(place)).await.context(what)?;
    stream.write_all(question.to_string().as_bytes()).await.context(what)?;
    stream.shutdown().await.context(what)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.context(what)?;
    serde_json::from_slice(&answer).context(what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ssh_port_is_read_from_both_forms_of_the_answer() {
        let entry = json!({"id": 1, "proto": "tcp", "host_port": 34567, "guest_port": 22});
        assert_eq!(ssh_port(&json!({"entries": [entry.clone()]})), Some(34567));
        assert_eq!(ssh_port(&json!({"return": {"entries": [entry]}})), Some(34567));
        assert_eq!(ssh_port(&json!({"return": {"entries": []}})), None);
        assert_eq!(ssh_port(&json!({"error": {"desc": "x"}})), None);
    }

    #[tokio::test]
    async fn one_that_hangs_is_not_waited_for_without_end() {
        let dir = tempfile::tempdir().unwrap();
        let place = Place { lab: "l".into(), node: "n".into(), dir: dir.path().into(), run: dir.path().into() };
        let _silent = tokio::net::UnixListener::bind(socket(&place)).unwrap();
        let error = ask_within(Duration::from_millis(50), &place, &json!({})).await.unwrap_err();
        assert!(error.why.contains("it hangs"), "{error}");
    }

    #[test]
    fn marks_of_a_lab_share_their_beginning() {
        let place = Place { lab: "l".into(), node: "n".into(), dir: "/s/n".into(), run: "/r".into() };
        assert_eq!(mark(&place), "--api-socket=/r/n.nat");
    }
}
