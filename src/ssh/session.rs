//! One SSH session per node, a channel per command.

use super::{Exit, Remote, Sink, channel, dial, keys};
use crate::error::{Error, Result};
use crate::event::Stream;
use russh::client::{self, Handle};
use russh::keys::{PrivateKeyWithHashAlg, PublicKey, PublicKeyOrCertificate};
use russh::{ChannelMsg, ChannelReadHalf, Disconnect};
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{Mutex, Notify};

/// Between two logins that came to nothing.
const RETRY: Duration = Duration::from_millis(250);
/// Seconds that a login may take on an accelerated node; also a first word when a session is made again.
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
    handle: Mutex<Arc<Handle<Pinned>>>,
    /// Told of all that comes from the node.
    heard: Notify,
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
                let stream = dial::until_spoken(target.address, target.slowness, &mut last).await;
                match login(&target, stream).await {
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
            Ok(handle) => Ok(Self { handle: Mutex::new(Arc::new(handle?)), heard: Notify::new(), target }),
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

    /// The node's name.
    pub(super) fn node(&self) -> &str {
        &self.target.node
    }

    /// A new channel; a session that broke is made again first, once. Nothing has been started on the node before.
    pub(super) async fn channel(&self) -> Result<(ChannelReadHalf, channel::Writer)> {
        let lost = |why: String| Error::failed("reach the node", why).on(&self.target.node);
        let tried = self.handle.lock().await.clone();
        match open(tried.clone()).await {
            Ok(channel) => return Ok(channel),
            // The session is whole, and commands may be running in it.
            Err(e @ russh::Error::ChannelOpenFailure(_)) => return Err(lost(e.to_string())),
            Err(_) => {}
        }
        let mut handle = self.handle.lock().await;
        // Another command may have made it again meanwhile.
        if Arc::ptr_eq(&handle, &tried) {
            *handle = self.again().await.map(Arc::new).map_err(|refusal| match refusal {
                Refusal::Never(error) => error,
                Refusal::NotYet(why) => lost(format!("the SSH session broke and cannot be made again: {why}")),
            })?;
        }
        let fresh = handle.clone();
        drop(handle);
        open(fresh).await.map_err(|e| lost(e.to_string()))
    }

    /// A connection that the node makes for us: to a port of its own, or to anything that it reaches.
    ///
    /// # Errors
    /// Nobody answers there, or the node cannot be reached.
    pub async fn connect(&self, host: &str, port: u16) -> Result<impl AsyncRead + AsyncWrite + Send + Unpin + 'static> {
        let what = || format!("connect to {host}:{port}");
        let handle = self.handle.lock().await.clone();
        let opened = handle.channel_open_direct_tcpip(host, u32::from(port), "127.0.0.1", 0).await;
        let channel = match opened {
            Ok(channel) => channel,
            Err(e @ russh::Error::ChannelOpenFailure(_)) => return Err(Error::failed(what(), e).on(self.node())),
            // The session broke; a command's channel makes it again.
            Err(_) => {
                drop(self.channel().await?);
                let fresh = self.handle.lock().await.clone();
                let opened = fresh.channel_open_direct_tcpip(host, u32::from(port), "127.0.0.1", 0).await;
                opened.map_err(|e| Error::failed(what(), e).on(self.node()))?
            }
        };
        Ok(channel.into_stream())
    }

    async fn again(&self) -> std::result::Result<Handle<Pinned>, Refusal> {
        let limit = Duration::from_secs(TRY * self.target.slowness);
        let stream = tokio::time::timeout(limit, dial::once(self.target.address)).await;
        let silent = |_| Refusal::NotYet("it accepts connections, but says nothing".to_owned());
        login(&self.target, stream.map_err(silent)?.map_err(Refusal::NotYet)?).await
    }
}

/// Opens a channel on a task of its own: one that opens after its command was given up must be closed again.
async fn open(handle: Arc<Handle<Pinned>>) -> std::result::Result<(ChannelReadHalf, channel::Writer), russh::Error> {
    let opening = tokio::spawn(async move { handle.channel_open_session().await.map(channel::split) });
    opening.await.unwrap_or(Err(russh::Error::Disconnect))
}

/// From the server's first word to the end of the login.
async fn login(target: &Target, stream: TcpStream) -> std::result::Result<Handle<Pinned>, Refusal> {
    let unread = |e: Error| Refusal::Never(e.on(&target.node));
    let key = keys::private(&target.key).map_err(unread)?;
    let expected = keys::public(&target.host_key).map_err(unread)?;
    let wrong = Arc::new(AtomicBool::new(false));
    let handler = Pinned { expected, wrong: wrong.clone() };
    let config = client::Config {
        // A command may be silent for many minutes; that the node lives, keepalives tell.
        inactivity_timeout: None,
        keepalive_interval: Some(Duration::from_secs(KEEPALIVE * target.slowness)),
        keepalive_max: KEEPALIVES,
        ..Default::default()
    };
    let login = async {
        let mut handle = client::connect_stream(Arc::new(config), stream, handler).await?;
        let key = PrivateKeyWithHashAlg::new(Arc::new(key), None);
        let result = handle.authenticate_publickey("root", key).await?;
        Ok::<_, russh::Error>((handle, result.success()))
    };
    let outcome = tokio::time::timeout(Duration::from_secs(TRY * target.slowness), login).await;
    let never = |why: String, hint: &str| Refusal::Never(Error::failed("log in", why).on(&target.node).hint(hint));
    let again = "make the node again: `lab destroy`, `lab up`";
    match outcome {
        Ok(Ok((handle, true))) => Ok(handle),
        Ok(Ok((_, false))) => Err(never("the node refuses the lab's key".to_owned(), again)),
        Ok(Err(_)) if wrong.load(Ordering::Relaxed) => Err(never(
            "the SSH server shows another host key than the one made for this node".to_owned(),
            "something else listens on the node's port; `lab destroy` and `lab up` give it a new one",
        )),
        Ok(Err(e)) if definite(&e) => Err(never(format!("the SSH server cannot be talked to: {e}"), again)),
        Ok(Err(e)) => Err(Refusal::NotYet(e.to_string())),
        Err(_) => Err(Refusal::NotYet("the login does not come to an end".to_owned())),
    }
}

/// Whether the server would say the same to every further try.
fn definite(error: &russh::Error) -> bool {
    use russh::Error as E;
    matches!(error, E::NoCommonAlgo { .. } | E::WrongServerSig | E::UnsupportedAuthMethod | E::NoAuthMethod)
}

impl Remote for Session {
    async fn exec(&self, command: &str, stdin: &[u8], sink: Sink<'_>) -> Result<Exit> {
        let what = "run a command";
        let (mut reader, writer) = self.channel().await?;
        writer.exec(true, command).await.map_err(|e| Error::failed(what, e).on(self.node()))?;
        let write = async {
            // A command that ends before it read its input is judged by its exit code.
            if writer.data(stdin).await.is_ok() {
                let _ = writer.eof().await;
            }
            std::future::pending().await
        };
        let read = async {
            let mut exit = Exit::Unknown;
            while let Some(message) = reader.wait().await {
                self.heard.notify_waiters();
                match message {
                    ChannelMsg::Data { data } => sink(Stream::Out, &data),
                    ChannelMsg::ExtendedData { data, ext: 1 } => sink(Stream::Err, &data),
                    ChannelMsg::ExitStatus { exit_status } => exit = Exit::Code(exit_status),
                    ChannelMsg::Failure => {
                        return Err(Error::failed(what, "the SSH server refused it").on(self.node()));
                    }
                    _ => {}
                }
            }
            Ok(exit)
        };
        tokio::select! {
            exit = read => exit,
            never = write => never,
        }
    }

    async fn alive(&self) {
        // Much output on its way may keep the answer back.
        let heard = self.heard.notified();
        let asked = async {
            let handle = self.handle.lock().await.clone();
            let _ = handle.send_ping().await;
        };
        tokio::select! {
            () = heard => {}
            () = asked => {}
        }
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
