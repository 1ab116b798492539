//! `lab cp`: files and folders to and from nodes, and from node to node, as one tar stream through the session. What
//! arrives takes its place only when all of it is there.

mod archive;

use super::reach::{self, AnyRemote};
use crate::cli;
use crate::error::{Context, Error, Result};
use crate::lab::name_problem;
use crate::paths::Paths;
use crate::ssh::Exit;
use crate::template::quote;
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::unix::pipe;

const SEND: &str = include_str!("send.sh");
const RECEIVE: &str = include_str!("receive.sh");
/// Between two nodes, bytes under way here.
const BUFFER: usize = 256 << 10;

/// One end of a copy.
#[derive(Debug, Clone, PartialEq)]
enum End {
    Here(PathBuf),
    There { node: String, path: String },
}

/// Copies each source to the last path.
pub async fn copy(args: cli::Copy, paths: &Paths) -> Result<()> {
    let mut ends: Vec<End> = args.paths.iter().map(|text| end(text)).collect();
    let last = ends.pop().ok_or_else(|| Error::input("copy", "there is nothing to copy"))?;
    let mut sessions = BTreeMap::new();
    for end in ends.iter().chain([&last]) {
        if let End::There { node, .. } = end
            && !sessions.contains_key(node)
        {
            let running = reach::running(node, args.lab.as_deref(), paths).await?;
            sessions.insert(node.clone(), running.login().await?);
        }
    }
    if sessions.is_empty() {
        let why = "no path is on a node; a node's path is written NODE:PATH";
        return Err(Error::input("copy", why).hint("lab cp notes.txt n1:/root/"));
    }
    // Several things go into a folder, never over one another.
    let last = if ends.len() > 1 { folder(last) } else { last };
    for from in &ends {
        one(from, &last, &sessions).await?;
    }
    for session in sessions.values() {
        session.close().await;
    }
    Ok(())
}

/// A path here, or on a node: what stands before the first colon is a name, and no slash comes before it.
fn end(text: &str) -> End {
    match text.split_once(':') {
        Some((node, path)) if name_problem(node).is_none() => {
            let path = if path.is_empty() { "." } else { path };
            End::There { node: node.to_owned(), path: path.to_owned() }
        }
        _ => End::Here(PathBuf::from(text)),
    }
}

fn folder(end: End) -> End {
    match end {
        End::Here(path) => End::Here(path.join("")),
        End::There { node, path } => End::There { node, path: format!("{}/", path.trim_end_matches('/')) },
    }
}

type Sessions = BTreeMap<String, AnyRemote>;

async fn one(from: &End, to: &End, sessions: &Sessions) -> Result<()> {
    match (from, to) {
        (End::Here(from), End::There { node, path }) => {
            let (reader, writer) = std::io::pipe().context(|| "make a pipe")?;
            let source = from.clone();
            let packing = tokio::task::spawn_blocking(move || archive::pack(&source, writer));
            let stream = pipe::Receiver::from_owned_fd(OwnedFd::from(reader)).context(|| "make a pipe")?;
            let received = receive(&sessions[node], node, path, &name_here(from), stream).await;
            // What could not be read here is the cause of what the node then says.
            packing.await.context(|| "read what is copied")??;
            received
        }
        (End::There { node, path }, End::Here(to)) => {
            let (reader, writer) = std::io::pipe().context(|| "make a pipe")?;
            let (target, name) = (to.clone(), name_there(path));
            let unpacking = tokio::task::spawn_blocking(move || archive::unpack(reader, &target, name.as_deref()));
            let stream = pipe::Sender::from_owned_fd(OwnedFd::from(writer)).context(|| "make a pipe")?;
            let sent = send(&sessions[node], node, path, stream).await;
            let unpacked = unpacking.await.context(|| "write what is copied")?;
            sent.and(unpacked)
        }
        (End::There { node: a, path: from }, End::There { node: b, path: to }) => {
            let (input, output) = tokio::io::duplex(BUFFER);
            let name = name_there(from).unwrap_or_else(|| "copy".to_owned());
            let (sent, received) =
                tokio::join!(send(&sessions[a], a, from, input), receive(&sessions[b], b, to, &name, output));
            sent.and(received)
        }
        (End::Here(_), End::Here(_)) => Err(Error::input("copy", "one of two paths must be on a node")),
    }
}

/// The last part of a path here, also of `.`.
fn name_here(path: &Path) -> String {
    let whole = path.canonicalize();
    let name = path.file_name().or_else(|| whole.as_ref().ok()?.file_name());
    name.map_or_else(|| "copy".to_owned(), |n| n.to_string_lossy().into_owned())
}

/// The last part of a path on a node, where it says one.
fn name_there(path: &str) -> Option<String> {
    Path::new(path).file_name().map(|n| n.to_string_lossy().into_owned())
}

async fn send(remote: &AnyRemote, node: &str, path: &str, to: impl AsyncWrite + Unpin) -> Result<()> {
    let mut said = Vec::new();
    let exit = remote.pipe(&shell(SEND, &[path]), tokio::io::empty(), to, &mut said).await?;
    ended(exit, &said, format!("copy {path}"), node)
}

async fn receive(remote: &AnyRemote, node: &str, path: &str, name: &str, from: impl AsyncRead + Unpin) -> Result<()> {
    let mut said = Vec::new();
    let exit = remote.pipe(&shell(RECEIVE, &[path, name]), from, tokio::io::sink(), &mut said).await?;
    ended(exit, &said, format!("copy to {path}"), node)
}

fn shell(script: &str, args: &[&str]) -> String {
    let args: Vec<String> = args.iter().map(|a| quote(a)).collect();
    format!("sh -c {} sh {}", quote(script), args.join(" "))
}

fn ended(exit: Exit, said: &[u8], what: String, node: &str) -> Result<()> {
    if exit.ok() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(said);
    let why = if said.trim().is_empty() { exit.in_words() } else { said.trim().to_owned() };
    Err(Error::failed(what, why).on(node))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_before_the_colon_is_a_node_and_a_path_is_not() {
        let there = |node: &str, path: &str| End::There { node: node.into(), path: path.into() };
        assert_eq!(end("n1:/etc/hosts"), there("n1", "/etc/hosts"));
        assert_eq!(end("n1:"), there("n1", "."));
        assert_eq!(end("flannel-w1:a:b"), there("flannel-w1", "a:b"));
        assert_eq!(end("./a:b"), End::Here("./a:b".into()));
        assert_eq!(end("notes.txt"), End::Here("notes.txt".into()));
        assert_eq!(folder(there("n1", "/tmp")), there("n1", "/tmp/"));
    }
}
