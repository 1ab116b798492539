//! The driver of a lab by its name, so that the verbs are written once.

use crate::driver::container::Container;
use crate::driver::fake::Fake;
use crate::driver::qemu::Qemu;
use crate::driver::{BaseImage, Driver, Endpoint, Facts, Forward, NodeSpec, NodeState, Place, Stop};
use crate::error::{Context, Error, Result};
use crate::executor::Reach;
use crate::lab::model::Node;
use crate::paths::Paths;
use crate::ssh::{Session, Target};
use crate::state::record::LabRecord;
use std::ffi::OsString;
use std::future::Future;
use std::process::Command;
use std::time::Duration;

/// One of the drivers.
pub enum AnyDriver {
    Qemu(Qemu),
    Container(Container),
    Fake(Fake),
}

/// Looks at the host for a driver before anything is made for it.
pub async fn look_at_host(name: &str, nodes: &[Node], paths: &Paths) -> Vec<Error> {
    match name {
        "qemu" => Qemu::look_at_host(nodes, &paths.state).await,
        "container" => Container::look_at_host(nodes, &paths.state),
        _ => Vec::new(),
    }
}

/// This `lab` as a command to be run in a user namespace, where the user is root: what his folders are is told.
pub fn ourselves(words: impl IntoIterator<Item = OsString>, paths: &Paths) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe().context(|| "find our own executable")?);
    command.args(words);
    command.env("LAB_CACHE_DIR", &paths.cache).env("LAB_STATE_DIR", &paths.state).env("LAB_RUN_DIR", &paths.run);
    Ok(command)
}

/// Removes a node by the name of its driver, whatever else is missing on the host by now.
pub async fn remove(name: &str, place: &Place) -> Result<()> {
    match name {
        "fake" => Fake::new().destroy(place).await,
        "container" => Container::remove(place).await,
        _ => Qemu::remove(place).await,
    }
}

/// The driver of this name, having looked at the host.
pub async fn open(name: &str, image: &BaseImage, paths: &Paths) -> Result<AnyDriver> {
    match name {
        "qemu" => Ok(AnyDriver::Qemu(Qemu::detect(&paths.cache.join("qemu"), &paths.state, image).await?)),
        "container" => Ok(AnyDriver::Container(Container::detect(&paths.cache.join("container")).await?)),
        "fake" => Ok(AnyDriver::Fake(Fake::new())),
        other => Err(Error::failed("use the lab's driver", format!("this `lab` has no driver `{other}`"))),
    }
}

macro_rules! each {
    ($self:ident, $driver:ident => $call:expr) => {
        match $self {
            AnyDriver::Qemu($driver) => $call,
            AnyDriver::Container($driver) => $call,
            AnyDriver::Fake($driver) => $call,
        }
    };
}

impl Driver for AnyDriver {
    fn facts(&self) -> &Facts {
        each!(self, d => d.facts())
    }

    async fn preflight(&self, nodes: &[Node]) -> Vec<Error> {
        each!(self, d => d.preflight(nodes).await)
    }

    async fn create(&self, spec: &NodeSpec) -> Result<()> {
        each!(self, d => d.create(spec).await)
    }

    async fn start(&self, spec: &NodeSpec) -> Result<Endpoint> {
        each!(self, d => d.start(spec).await)
    }

    async fn forward(&self, place: &Place, forward: Forward) -> Result<()> {
        each!(self, d => d.forward(place, forward).await)
    }

    async fn stop(&self, place: &Place, how: Stop) -> Result<()> {
        each!(self, d => d.stop(place, how).await)
    }

    async fn destroy(&self, place: &Place) -> Result<()> {
        each!(self, d => d.destroy(place).await)
    }

    async fn inspect(&self, place: &Place) -> Result<NodeState> {
        each!(self, d => d.inspect(place).await)
    }

    async fn watch(&self, place: &Place) -> Error {
        each!(self, d => d.watch(place).await)
    }

    async fn trouble(&self, place: &Place) -> Option<String> {
        each!(self, d => d.trouble(place).await)
    }
}

/// Reaches nodes by SSH with the lab's keys.
pub struct SshReach<'a> {
    pub record: &'a LabRecord,
    pub slowness: u64,
}

impl SshReach<'_> {
    /// How to log into a node.
    pub fn target(&self, node: &str, endpoint: Endpoint) -> Result<Target> {
        let keys = self.record.host_keys.get(node);
        let host_key = keys.ok_or_else(|| Error::failed("log in", "the lab has no host key for it").on(node))?;
        Ok(Target {
            node: node.to_owned(),
            address: endpoint.ssh,
            key: self.record.login.private.clone(),
            host_key: host_key.public.clone(),
            slowness: self.slowness,
        })
    }
}

impl Reach for SshReach<'_> {
    type Remote = Session;

    async fn reach(
        &self,
        node: &str,
        endpoint: Endpoint,
        limit: Duration,
        died: impl Future<Output = Error> + Send,
    ) -> Result<Session> {
        Session::wait_for(self.target(node, endpoint)?, limit, died).await
    }
}
