//! An SSH server for tests, whose commands are words: what they do is written here.

use super::{KeyPair, Session, Target, keys};
use crate::error::Result;
use russh::server::{self, Auth, ChannelOpenHandle, Msg, VerifiedPublicKey};
use russh::{Channel, ChannelId, ChannelOpenFailure, Pty, Sig};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// Channels that the server has places for.
const PLACES: usize = 2;

struct Scripted {
    accepts: bool,
    read: usize,
    /// This connection's channels.
    mine: HashSet<ChannelId>,
    /// Open channels, over all connections.
    open: Arc<watch::Sender<usize>>,
}

type Answer = std::result::Result<(), russh::Error>;

impl Scripted {
    fn end(&mut self, channel: ChannelId, session: &mut server::Session) -> Answer {
        self.ended(channel);
        session.close(channel)
    }

    fn ended(&mut self, channel: ChannelId) {
        if self.mine.remove(&channel) {
            self.open.send_modify(|n| *n -= 1);
        }
    }

    fn says_size(&self, channel: ChannelId, columns: u32, rows: u32, session: &mut server::Session) -> Answer {
        session.data(channel, format!("{columns}x{rows} ").into_bytes())
    }
}

impl server::Handler for Scripted {
    type Error = russh::Error;

    async fn auth_publickey(&mut self, user: &str, _: VerifiedPublicKey<'_>) -> std::result::Result<Auth, Self::Error> {
        Ok(if self.accepts && user == "root" { Auth::Accept } else { Auth::reject() })
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut server::Session,
    ) -> Answer {
        if *self.open.borrow() == PLACES {
            reply.reject(ChannelOpenFailure::ConnectFailed).await;
        } else {
            self.mine.insert(channel.id());
            self.open.send_modify(|n| *n += 1);
            reply.accept().await;
        }
        Ok(())
    }

    async fn channel_close(&mut self, channel: ChannelId, _: &mut server::Session) -> Answer {
        self.ended(channel);
        Ok(())
    }

    async fn exec_request(&mut self, channel: ChannelId, command: &[u8], session: &mut server::Session) -> Answer {
        if command == b"refuse" {
            return session.channel_failure(channel);
        }
        session.channel_success(channel)?;
        match command {
            b"both" => {
                session.data(channel, b"out".to_vec())?;
                session.extended_data(channel, 1, b"err".to_vec())?;
                session.exit_status_request(channel, 7)?;
                self.end(channel, session)
            }
            b"killed" => {
                session.exit_signal_request(channel, Sig::KILL, false, "", "")?;
                self.end(channel, session)
            }
            b"vanish" => self.end(channel, session),
            // The node hangs: its connections stay, and nobody answers any more.
            b"freeze" => std::future::pending().await,
            b"hang up" => {
                self.ended(channel);
                Err(russh::Error::Disconnect)
            }
            _ => Ok(()),
        }
    }

    async fn pty_request(
        &mut self,
        channel: ChannelId,
        _: &str,
        columns: u32,
        rows: u32,
        _: u32,
        _: u32,
        _: &[(Pty, u32)],
        session: &mut server::Session,
    ) -> Answer {
        session.channel_success(channel)?;
        self.says_size(channel, columns, rows, session)
    }

    async fn window_change_request(
        &mut self,
        channel: ChannelId,
        columns: u32,
        rows: u32,
        _: u32,
        _: u32,
        session: &mut server::Session,
    ) -> Answer {
        self.says_size(channel, columns, rows, session)
    }

    async fn shell_request(&mut self, channel: ChannelId, session: &mut server::Session) -> Answer {
        session.channel_success(channel)
    }

    async fn data(&mut self, channel: ChannelId, data: &[u8], session: &mut server::Session) -> Answer {
        self.read += data.len();
        // An answer to every piece, so that both directions are busy at once.
        session.data(channel, data.to_vec())
    }

    async fn channel_eof(&mut self, channel: ChannelId, session: &mut server::Session) -> Answer {
        session.exit_status_request(channel, u32::from(self.read == 0))?;
        self.end(channel, session)
    }
}

pub(super) struct Host {
    pub target: Target,
    pub key: KeyPair,
    pub accepts: bool,
    /// Open channels.
    pub open: Arc<watch::Sender<usize>>,
}

impl Host {
    /// A server to be; its port is known before it serves.
    pub(super) async fn new() -> (Self, TcpListener) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (key, login) = (KeyPair::generate("n1").unwrap(), KeyPair::generate("lab").unwrap());
        let address = listener.local_addr().unwrap();
        let (node, host_key) = ("n1".to_owned(), key.public.clone());
        let target = Target { node, address, key: login.private, host_key, slowness: 1 };
        (Self { target, key, accepts: true, open: Arc::new(watch::Sender::new(0)) }, listener)
    }

    pub(super) fn serve(&self, listener: TcpListener) {
        let keys = vec![keys::private(&self.key.private).unwrap()];
        let config = Arc::new(server::Config { keys, auth_rejection_time: Duration::ZERO, ..Default::default() });
        let (accepts, open) = (self.accepts, self.open.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (config, open) = (config.clone(), open.clone());
                tokio::spawn(async move {
                    let scripted = Scripted { accepts, read: 0, mine: HashSet::new(), open };
                    if let Ok(session) = server::run_stream(config, stream, scripted).await {
                        let _ = session.await;
                    }
                });
            }
        });
    }

    pub(super) async fn login(&self) -> Result<Session> {
        Session::wait_for(self.target.clone(), Duration::from_secs(20), std::future::pending()).await
    }

    /// A server that serves and a session with it.
    pub(super) async fn ready() -> (Self, Session) {
        let (host, listener) = Self::new().await;
        host.serve(listener);
        let session = host.login().await.unwrap();
        (host, session)
    }
}
