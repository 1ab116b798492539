//! One SSH session per node, a channel per command.

use super::{Exit, Remote, Sink, keys};
use crate::error::{Error, Result};
use crate::event::Stream;
use russh::client::{self, Handle};
use russh::keys::{PrivateKeyWithHashAlg, PublicKey, PublicKeyOrCertificate};
use russh::{ChannelMsg, Disconnect};
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::Mutex;

/// Between two tries to reach a node that does not answer yet. A forward accepts before the guest listens, so that only
/// a try tells.
const RETRY: Duration = Duration::from_millis(250);
/// Seconds that one try may take on an accelerated node, banner and login together.
const TRY: u64 = 10;
/// Seconds of silence after which a keepalive is sent, on an accelerated node.
const KEEPALIVE: u64 = 10;
/// Unanswered keepalives after which the session is dead.
const KEEPALIVES: usize = 6;

/// How to reach a node.
#[derive(Debug, Clone)]
pub struct Target {
    pub node: String,
    pub address: SocketAddr,
    /// Our private key, OpenSSH's form.
    pub key: String,
    /// The node's public host key; any other is refused.
    pub host_key: String,
    /// How much slower than an accelerated node it is.
    pub slowness: u64,
}

/// A node that is logged into.
pub struct Session {
    target: Target,
    handle: Mutex<Handle<Pinned>>,
}

/// Why a connection did not come about.
enum Refusal {
    /// Nobody answers yet; another try may.
    NotYet(String),
    /// Another try will not help.
    Never(Error),
}

/// Accepts one host key.
pub(super) struct Pinned {
    expected: PublicKey,
    wrong: Arc<AtomicBool>,
}

impl client::Handler for Pinned {
    type Error = russh::Error;

    async fn check_server_key(&mut self, key: &PublicKeyOrCertificate) -> std::result::Result<bool, Self::Error> {
        let same = match key {
            PublicKeyOrCertificate::PublicKey { key, .. } => key.key_data() == self.expected.key_data(),
            PublicKeyOrCertificate::Certificate(_) => false,
        };
        self.wrong.store(!same, Ordering::Relaxed);
        Ok(same)
    }
}

impl Session {
    /// Logs into a node that may still be booting, until it works, `limit` has passed, or `died` ends with the reason
    /// why the node never will.
    ///
    /// # Errors
    /// The reason of the last try, a wrong host key, a refused login, or what `died` said.
    pub async fn wait_for(target: Target, limit: Duration, died: impl Future<Output = Error>) -> Result<Self> {
        let mut last = "no try was made".to_owned();
        let tries = async {
            loop {
                match connect(&target).await {
                    Ok(handle) => return Ok(handle),
                    Err(Refusal::Never(error)) => return Err(error),
                    Err(Refusal::NotYet(why)) => last = why,
                }
                tokio::time::sleep(RETRY).await;
            }
        };
        let tries = tokio::time::timeout(limit, tries);
        let handle = tokio::select! {
            handle = tries => handle,
            error = died => return Err(error),
        };
        match handle {
            Ok(handle) => Ok(Self { handle: Mutex::new(handle?), target }),
            Err(_) => {
                let why = format!("no SSH login within {} s; the last try: {last}", limit.as_secs());
                Err(Error::failed("reach the node", why).on(&target.node))
            }
        }
    }

    /// Ends the session.
    pub async fn close(&self) {
        // A session that is broken already is closed too.
        let _ = self.handle.lock().await.disconnect(Disconnect::ByApplication, "", "en").await;
    }

    /// A new channel; a session that broke is made again first. Nothing has been started on the node before.
    pub(super) async fn channel(&self) -> Result<russh::Channel<client::Msg>> {
        let mut handle = self.handle.lock().await;
        if !handle.is_closed()
            && let Ok(channel) = handle.channel_open_session().await
        {
            return Ok(channel);
        }
        let lost = |why: String| Error::failed("reach the node", why).on(&self.target.node);
        *handle = connect(&self.target).await.map_err(|refusal| match refusal {
            Refusal::Never(error) => error,
            Refusal::NotYet(why) => lost(format!("the SSH session broke and cannot be made again: {why}")),
        })?;
        handle.channel_open_session().await.map_err(|e| lost(e.to_string()))
    }
}

async fn connect(target: &Target) -> std::result::Result<Handle<Pinned>, Refusal> {
    let key = keys::private(&target.key).map_err(Refusal::Never)?;
    let expected = keys::public(&target.host_key).map_err(Refusal::Never)?;
    let wrong = Arc::new(AtomicBool::new(false));
    let handler = Pinned { expected, wrong: wrong.clone() };
    let config = client::Config {
        inactivity_timeout: None,
        keepalive_interval: Some(Duration::from_secs(KEEPALIVE * target.slowness)),
        keepalive_max: KEEPALIVES,
        nodelay: true,
        ..Default::default()
    };
    let login = async {
        let mut handle = client::connect(Arc::new(config), target.address, handler).await?;
        let key = PrivateKeyWithHashAlg::new(Arc::new(key), None);
        let result = handle.authenticate_publickey("root", key).await?;
        Ok::<_, russh::Error>((handle, result.success()))
    };
    let outcome = tokio::time::timeout(Duration::from_secs(TRY * target.slowness), login).await;
    let never = |why: &str, hint: &str| Refusal::Never(Error::failed("log in", why).on(&target.node).hint(hint));
    match outcome {
        Ok(Ok((handle, true))) => Ok(handle),
        Ok(Ok((_, false))) => {
            Err(never("the node refuses the lab's key", "make the node again: `lab destroy`, `lab up`"))
        }
        Ok(Err(_)) if wrong.load(Ordering::Relaxed) => Err(never(
            "the SSH server shows another host key than the one made for this node",
            "something else listens on the node's port; `lab destroy` and `lab up` give it a new one",
        )),
        Ok(Err(e)) => Err(Refusal::NotYet(e.to_string())),
        Err(_) => Err(Refusal::NotYet("it accepts connections, but says nothing".to_owned())),
    }
}

impl Remote for Session {
    async fn exec(&self, command: &str, stdin: &[u8], sink: Sink<'_>) -> Result<Exit> {
        let lost = |e: russh::Error| Error::failed("run a command", e).on(&self.target.node);
        let channel = self.channel().await?;
        let (mut reader, writer) = channel.split();
        writer.exec(true, command).await.map_err(lost)?;
        let write = async {
            // A command that ends before it read its input is judged by its exit code.
            if writer.data(stdin).await.is_ok() {
                let _ = writer.eof().await;
            }
            std::future::pending::<()>().await;
        };
        let read = async {
            let mut exit = Exit::Unknown;
            while let Some(message) = reader.wait().await {
                match message {
                    ChannelMsg::Data { data } => sink(Stream::Out, &data),
                    ChannelMsg::ExtendedData { data, ext: 1 } => sink(Stream::Err, &data),
                    ChannelMsg::ExitStatus { exit_status } => exit = Exit::Code(exit_status),
                    ChannelMsg::Failure => {
                        return Err(Error::failed("run a command", "the SSH server refused it").on(&self.target.node));
                    }
                    _ => {}
                }
            }
            Ok(exit)
        };
        tokio::select! {
            exit = read => exit,
            () = write => Ok(Exit::Unknown),
        }
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
