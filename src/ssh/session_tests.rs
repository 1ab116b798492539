use super::super::KeyPair;
use super::*;
use russh::server::{self, Auth, ChannelOpenHandle, Msg, VerifiedPublicKey};
use russh::{Channel, ChannelId};
use tokio::net::TcpListener;

/// A server whose commands are words: what they do is written here.
struct Scripted {
    accepts: bool,
    read: usize,
}

impl server::Handler for Scripted {
    type Error = russh::Error;

    async fn auth_publickey(&mut self, user: &str, _: VerifiedPublicKey<'_>) -> std::result::Result<Auth, Self::Error> {
        Ok(if self.accepts && user == "root" { Auth::Accept } else { Auth::reject() })
    }

    async fn channel_open_session(
        &mut self,
        _: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut server::Session,
    ) -> std::result::Result<(), Self::Error> {
        reply.accept().await;
        Ok(())
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        command: &[u8],
        session: &mut server::Session,
    ) -> std::result::Result<(), Self::Error> {
        session.channel_success(channel)?;
        match command {
            b"both" => {
                session.data(channel, b"out".to_vec())?;
                session.extended_data(channel, 1, b"err".to_vec())?;
                session.exit_status_request(channel, 7)?;
                session.close(channel)
            }
            b"vanish" => session.close(channel),
            b"hang up" => Err(russh::Error::Disconnect),
            _ => Ok(()),
        }
    }

    async fn data(
        &mut self,
        channel: ChannelId,
        data: &[u8],
        session: &mut server::Session,
    ) -> std::result::Result<(), Self::Error> {
        self.read += data.len();
        // An answer to every piece, so that both directions are busy at once.
        session.data(channel, data.to_vec())
    }

    async fn channel_eof(
        &mut self,
        channel: ChannelId,
        session: &mut server::Session,
    ) -> std::result::Result<(), Self::Error> {
        session.exit_status_request(channel, u32::from(self.read == 0))?;
        session.close(channel)
    }
}

struct Host {
    target: Target,
    key: KeyPair,
    accepts: bool,
}

impl Host {
    /// A server to be; its port is known before it listens.
    async fn new() -> (Self, TcpListener) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (key, login) = (KeyPair::generate("n1").unwrap(), KeyPair::generate("lab").unwrap());
        let address = listener.local_addr().unwrap();
        let (node, host_key) = ("n1".to_owned(), key.public.clone());
        let target = Target { node, address, key: login.private, host_key, slowness: 1 };
        (Self { target, key, accepts: true }, listener)
    }

    fn serve(&self, listener: TcpListener) {
        let keys = vec![keys::private(&self.key.private).unwrap()];
        let config = Arc::new(server::Config { keys, auth_rejection_time: Duration::ZERO, ..Default::default() });
        let accepts = self.accepts;
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let config = config.clone();
                tokio::spawn(async move {
                    if let Ok(session) = server::run_stream(config, stream, Scripted { accepts, read: 0 }).await {
                        let _ = session.await;
                    }
                });
            }
        });
    }

    async fn login(&self) -> Result<Session> {
        Session::wait_for(self.target.clone(), Duration::from_secs(20), std::future::pending()).await
    }
}

async fn run(session: &Session, command: &str, stdin: &[u8]) -> (Exit, Vec<u8>, Vec<u8>) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut sink = |stream: Stream, bytes: &[u8]| match stream {
        Stream::Out => out.extend_from_slice(bytes),
        Stream::Err => err.extend_from_slice(bytes),
    };
    let exit = session.exec(command, stdin, &mut sink).await.unwrap();
    (exit, out, err)
}

#[tokio::test]
async fn streams_and_codes_come_through_and_silence_is_no_success() {
    let (host, listener) = Host::new().await;
    host.serve(listener);
    let session = host.login().await.unwrap();
    assert_eq!(run(&session, "both", b"").await, (Exit::Code(7), b"out".to_vec(), b"err".to_vec()));
    assert_eq!(run(&session, "vanish", b"").await.0, Exit::Unknown);
    assert!(!Exit::Unknown.ok());
}

#[tokio::test]
async fn a_large_input_meets_a_large_answer() {
    let (host, listener) = Host::new().await;
    host.serve(listener);
    let session = host.login().await.unwrap();
    let big: Vec<u8> = (0..4 << 20).map(|i| (i % 251) as u8).collect();
    let (exit, out, _) = run(&session, "cat", &big).await;
    assert_eq!(exit, Exit::Code(0));
    assert!(out == big, "{} of {} bytes came back", out.len(), big.len());
}

#[tokio::test]
async fn a_broken_session_is_made_again_for_the_next_command() {
    let (host, listener) = Host::new().await;
    host.serve(listener);
    let session = host.login().await.unwrap();
    assert_eq!(run(&session, "hang up", b"").await.0, Exit::Unknown, "it may have run: it is not run again");
    assert_eq!(run(&session, "both", b"").await.0, Exit::Code(7));
}

#[tokio::test]
async fn another_host_key_is_refused_at_once() {
    let (mut host, listener) = Host::new().await;
    host.serve(listener);
    host.target.host_key = KeyPair::generate("other").unwrap().public;
    let error = host.login().await.err().unwrap();
    assert!(error.why.contains("another host key") && error.node.as_deref() == Some("n1"), "{error}");
}

#[tokio::test]
async fn a_refused_login_is_not_tried_again() {
    let (mut host, listener) = Host::new().await;
    host.accepts = false;
    host.serve(listener);
    assert!(host.login().await.err().unwrap().why.contains("refuses the lab's key"));
}

#[tokio::test]
async fn a_node_that_answers_late_is_waited_for() {
    let (host, listener) = Host::new().await;
    // As a forward does before the guest listens: the first connections are accepted and dropped.
    let (early, _) = tokio::join!(host.login(), async {
        for _ in 0..2 {
            drop(listener.accept().await.unwrap());
        }
        host.serve(listener);
    });
    assert_eq!(run(&early.unwrap(), "both", b"").await.0, Exit::Code(7));
}

#[tokio::test]
async fn a_dead_node_ends_the_wait_with_its_reason() {
    let (host, _listener) = Host::new().await;
    let died = async { Error::failed("keep the node running", "its kernel panicked") };
    let error = Session::wait_for(host.target.clone(), Duration::from_secs(20), died).await.err().unwrap();
    assert!(error.why.contains("panicked"));
}
