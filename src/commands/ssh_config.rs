//! `lab ssh-config`: what OpenSSH and all that is built on it need to reach the nodes.

use super::drivers::open;
use super::which;
use crate::cli;
use crate::driver::{Driver, NodeState};
use crate::error::{Context, Error, Result};
use crate::paths::Paths;
use crate::state::record::{LabRecord, place};
use crate::state::write::atomically;
use crate::template::quote;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Prints the hosts of a lab, or makes them known to the user's own ssh.
pub async fn ssh_config(args: cli::SshConfig, paths: &Paths) -> Result<String> {
    let record = which::record(args.which.lab.as_deref(), paths)?;
    let dir = paths.lab(&record.lab.name).join("ssh");
    write_keys(&record, &dir)?;
    if args.merge {
        return merge(&record, &dir, paths);
    }
    let driver = open(&record.driver, &record.image, paths).await?;
    let mut out = String::new();
    for node in &record.lab.nodes {
        match driver.inspect(&place(paths, &record.lab.name, &node.name)).await? {
            NodeState::Running(endpoint) => {
                let way = format!("  HostName {}\n  Port {}\n", endpoint.ssh.ip(), endpoint.ssh.port());
                out += &host(&record, &node.name, &dir, &way);
            }
            _ => out += &format!("# {} is not running: lab up {}\n\n", node.name, record.lab.name),
        }
    }
    Ok(out)
}

/// The login key and the pinned host keys as files that ssh accepts.
fn write_keys(record: &LabRecord, dir: &Path) -> Result<()> {
    Paths::make_private(dir)?;
    atomically(&dir.join("id"), record.login.private.as_bytes(), 0o600)?;
    let lines = record.host_keys.iter().map(|(node, key)| format!("{} {}\n", alias(record, node), key.public.trim()));
    atomically(&dir.join("known_hosts"), lines.collect::<String>().as_bytes(), 0o600)
}

/// Under which name the host key is pinned: a port changes with each start, this does not.
fn alias(record: &LabRecord, node: &str) -> String {
    format!("{node}.{}.lab", record.lab.name)
}

fn host(record: &LabRecord, node: &str, dir: &Path, way: &str) -> String {
    format!(
        "Host {node} {node}.{lab}\n{way}  User root\n  IdentityFile {id}\n  IdentitiesOnly yes\n  HostKeyAlias {alias}\n  \
         UserKnownHostsFile {known}\n  GlobalKnownHostsFile /dev/null\n  StrictHostKeyChecking yes\n  \
         UpdateHostKeys no\n  PasswordAuthentication no\n  LogLevel ERROR\n\n",
        lab = record.lab.name,
        id = word(&dir.join("id")),
        alias = alias(record, node),
        known = word(&dir.join("known_hosts")),
    )
}

/// A path as ssh_config(5) wants it: quoted, and without tokens.
fn word(path: &Path) -> String {
    format!("\"{}\"", path.display().to_string().replace('%', "%%"))
}

/// Writes the hosts into the lab's folder, where they go with the lab, and includes all labs' in the user's config.
/// These find a node's port when they connect, so that they stay true when nodes are started again.
fn merge(record: &LabRecord, dir: &Path, paths: &Paths) -> Result<String> {
    let exe = std::env::current_exe().context(|| "find our own executable")?;
    let mut text = String::from("# Written by `lab ssh-config --merge`; goes with the lab.\n");
    for node in &record.lab.nodes {
        let folders = [("LAB_STATE_DIR", &paths.state), ("LAB_RUN_DIR", &paths.run), ("LAB_CACHE_DIR", &paths.cache)];
        let folders = folders.map(|(name, path)| format!("{name}={}", quote(&path.display().to_string()))).join(" ");
        let exe = quote(&exe.display().to_string());
        let dial = format!("env {folders} {exe} dial --lab {} {}", record.lab.name, node.name).replace('%', "%%");
        text += &host(record, &node.name, dir, &format!("  ProxyCommand {dial}\n"));
    }
    atomically(&dir.join("config"), text.as_bytes(), 0o600)?;
    let all = paths.state.join("*/ssh/config");
    let line = format!("Include \"{}\"", all.display());
    let user = user_config()?;
    let old = match std::fs::read_to_string(&user) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => String::new(),
        other => other.context(|| format!("read {}", user.display()))?,
    };
    let mut said = format!("{}: written\n", dir.join("config").display());
    if !old.lines().any(|l| l.trim() == line) {
        // First: an Include after a Host line would belong to that host.
        let mode = std::fs::metadata(&user).map_or(0o600, |m| m.permissions().mode() & 0o777);
        let text = format!("# The nodes of labs, where there are any.\n{line}\n\n{old}");
        atomically(&user, text.as_bytes(), mode)?;
        said += &format!("{}: includes it now\n", user.display());
    }
    let first = record.lab.nodes.first().map_or("", |n| n.name.as_str());
    Ok(format!("{said}Try: ssh {first}\n"))
}

/// The user's own config; where it is a link, what it points to.
fn user_config() -> Result<PathBuf> {
    let what = "find the ssh config";
    let home = std::env::var_os("HOME").ok_or_else(|| Error::input(what, "HOME is not set"))?;
    let dir = Path::new(&home).join(".ssh");
    Paths::make_private(&dir)?;
    let config = dir.join("config");
    Ok(config.canonicalize().unwrap_or(config))
}
