//! A node that the user names: which lab it belongs to, whether it runs, and a session with it.

use super::drivers::{AnyDriver, SshReach, open};
use super::which;
use crate::driver::fake::{FakeReach, FakeRemote};
use crate::driver::{Driver, Endpoint, NodeState, Place};
use crate::error::{Error, Result};
use crate::executor::Reach;
use crate::paths::Paths;
use crate::ssh::{Exit, Remote, Session, Sink};
use crate::state::record::{LabRecord, place};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};

/// Seconds to wait for a login to a node that is up, on an accelerated node.
const LOGIN: u64 = 20;

/// A node that runs.
pub struct Running {
    pub record: LabRecord,
    pub place: Place,
    pub endpoint: Endpoint,
    driver: AnyDriver,
}

/// A session with a node of any driver.
pub enum AnyRemote {
    Ssh(Session),
    Fake(FakeRemote),
}

/// The node of this name in the lab that has it.
///
/// # Errors
/// There is no such node, or it does not run.
pub async fn running(node: &str, lab: Option<&str>, paths: &Paths) -> Result<Running> {
    running_in(lab_of(node, lab, paths)?, node, paths).await
}

/// The node of this name in this lab.
pub async fn running_in(record: LabRecord, node: &str, paths: &Paths) -> Result<Running> {
    let driver = open(&record.driver, &record.image, paths).await?;
    let place = place(paths, &record.lab.name, node);
    let NodeState::Running(endpoint) = driver.inspect(&place).await? else {
        let error = Error::failed("reach the node", "it is not running").on(node);
        return Err(error.hint(format!("lab up {}", record.lab.name)));
    };
    Ok(Running { record, place, endpoint, driver })
}

impl Running {
    /// The node's driver.
    pub fn driver(&self) -> &AnyDriver {
        &self.driver
    }

    /// Logs in.
    pub async fn login(&self) -> Result<AnyRemote> {
        let limit = Duration::from_secs(LOGIN * self.driver.facts().slowness);
        let reached = login(&self.record, &self.driver, &self.place, self.endpoint.clone(), limit).await;
        reached.map_err(|error| match error.hint {
            Some(_) => error,
            None => {
                let (node, lab) = (&self.place.node, &self.record.lab.name);
                error.hint(format!(
                    "it runs, but boots, hangs, or is far too busy: lab logs --console --node {node}; lab reload {lab}"
                ))
            }
        })
    }
}

/// Logs into a node that runs, within a time.
pub async fn login(
    record: &LabRecord,
    driver: &AnyDriver,
    place: &Place,
    endpoint: Endpoint,
    limit: Duration,
) -> Result<AnyRemote> {
    if let AnyDriver::Fake(_) = driver {
        let reach = FakeReach { nodes: place.dir.parent().unwrap_or(&place.dir).to_owned() };
        return reach.reach(&place.node, endpoint, limit, std::future::pending()).await.map(AnyRemote::Fake);
    }
    let reach = SshReach { record, slowness: driver.facts().slowness };
    reach.reach(&place.node, endpoint, limit, driver.watch(place)).await.map(AnyRemote::Ssh)
}

impl AnyRemote {
    /// Runs a command with these streams.
    pub async fn pipe(
        &self,
        command: &str,
        input: impl AsyncRead + Unpin,
        output: impl AsyncWrite + Unpin,
        errors: impl AsyncWrite + Unpin,
    ) -> Result<Exit> {
        match self {
            Self::Ssh(session) => session.pipe(command, input, output, errors).await,
            Self::Fake(remote) => remote.pipe(command, input, output, errors).await,
        }
    }

    /// Runs a shell or a command with the user's own terminal or pipes.
    pub async fn interactive(&self, command: Option<&str>, tty: bool) -> Result<Exit> {
        match self {
            Self::Ssh(session) => session.interactive(command, tty).await,
            Self::Fake(remote) => {
                let command = command.unwrap_or("exec sh");
                remote.pipe(command, tokio::io::stdin(), tokio::io::stdout(), tokio::io::stderr()).await
            }
        }
    }

    /// Ends the session.
    pub async fn close(&self) {
        if let Self::Ssh(session) = self {
            session.close().await;
        }
    }
}

impl Remote for AnyRemote {
    async fn exec(&self, command: &str, stdin: &[u8], sink: Sink<'_>) -> Result<Exit> {
        match self {
            Self::Ssh(session) => session.exec(command, stdin, sink).await,
            Self::Fake(remote) => remote.exec(command, stdin, sink).await,
        }
    }

    async fn alive(&self) {
        match self {
            Self::Ssh(session) => session.alive().await,
            Self::Fake(remote) => remote.alive().await,
        }
    }
}

/// The lab that has the node: the one named; else of those that have such a node the one meant here, or the only one.
pub fn lab_of(node: &str, lab: Option<&str>, paths: &Paths) -> Result<LabRecord> {
    let what = format!("find the node {node}");
    if lab.is_some() {
        let record = which::record(lab, paths)?;
        return match record.lab.node(node) {
            Some(_) => Ok(record),
            None => Err(unknown(what, node, std::slice::from_ref(&record))),
        };
    }
    let (all, mut with) = which::having(|r| r.lab.node(node).is_some(), paths);
    match (with.pop(), with.pop()) {
        (Some(record), None) => Ok(record),
        (Some(one), Some(other)) => {
            let why = format!("several labs have a node of this name: {}, {}", other.lab.name, one.lab.name);
            Err(Error::input(what, why).hint(format!("name the lab: --lab {}", other.lab.name)))
        }
        (None, _) => Err(unknown(what, node, &all)),
    }
}

fn unknown(what: String, node: &str, labs: &[LabRecord]) -> Error {
    let known: Vec<&str> = labs.iter().flat_map(|r| r.lab.nodes.iter().map(|n| n.name.as_str())).collect();
    if known.is_empty() {
        return Error::input(what, "no lab exists").hint("`lab list` shows what can be made, `lab up NAME` makes it");
    }
    let error = Error::input(what, format!("no lab has it; there are {}", known.join(", ")));
    which::near(error, node, known)
}
