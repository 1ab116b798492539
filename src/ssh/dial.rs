//! Finding out whether anybody answers: a connection counts when its other end has spoken.
//!
//! A forward to a virtual machine accepts before the guest listens. Such a connection stays open and silent, and is
//! handed to the guest only when the forward repeats its SYN: 6, 18, 42, 90 s after it was made. One patient connection
//! can therefore come half a minute late, and an impatient one never gets through to a server that is slow to speak.
//! So several wait side by side, of ages that double.

use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep_until};

/// Connections that wait at once. sshd counts one penalty second for each that goes without a login and locks its
/// source out at 15.
const ABREAST: usize = 6;
/// From one connection to the next while all are silent, in milliseconds on an accelerated node.
const STAGGER: u64 = 500;
/// After a connection that ended, until the next.
const RETRY: Duration = Duration::from_millis(250);

/// One connection, once its other end has begun an SSH banner.
pub(super) async fn once(address: SocketAddr) -> Result<TcpStream, String> {
    let stream = TcpStream::connect(address).await.map_err(|e| e.to_string())?;
    stream.set_nodelay(true).map_err(|e| e.to_string())?;
    let mut word = [0; 64];
    let n = stream.peek(&mut word).await.map_err(|e| e.to_string())?;
    let word = &word[..n];
    if word.is_empty() {
        return Err("it closes connections without a word".to_owned());
    }
    if word.starts_with(b"SSH-") || b"SSH-".starts_with(word) {
        return Ok(stream);
    }
    let word = String::from_utf8_lossy(word);
    // sshd refuses in plain words when it has had too many connections.
    Err(format!("it says `{}` and no SSH banner", word.lines().next().unwrap_or_default().escape_debug()))
}

/// Tries until a connection's other end begins an SSH banner; `last` is kept at why none has yet.
pub(super) async fn until_spoken(address: SocketAddr, slowness: u64, last: &mut String) -> TcpStream {
    let stagger = Duration::from_millis(STAGGER * slowness.clamp(1, 2));
    let mut slots: [Option<AbortHandle>; ABREAST] = Default::default();
    let mut tries = JoinSet::new();
    let mut next = Instant::now();
    let mut opened = 0u32;
    loop {
        tokio::select! {
            Some(ended) = tries.join_next() => match ended {
                Ok(Ok(stream)) => return stream,
                Ok(Err(why)) => {
                    *last = why;
                    next = next.min(Instant::now() + RETRY);
                }
                // One that made room for another.
                Err(_) => {}
            },
            () = sleep_until(next) => {
                opened = opened.wrapping_add(1);
                if !tries.is_empty() {
                    "it accepts connections, but says nothing".clone_into(last);
                }
                if let Some(old) = slots[slot(opened)].replace(tries.spawn(once(address))) {
                    old.abort();
                }
                next = Instant::now() + stagger;
            }
        }
    }
}

/// The place of the n-th connection: every second one takes the first place, every fourth the second, and so on, so that
/// each place's connection lives twice as long as the one before.
fn slot(n: u32) -> usize {
    usize::try_from(n.trailing_zeros()).map_or(ABREAST - 1, |zeros| zeros.min(ABREAST - 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    #[test]
    fn ages_double() {
        assert_eq!([1, 2, 3, 4, 6, 8, 16, 32, 64].map(slot), [0, 1, 0, 2, 1, 3, 4, 5, 5]);
    }

    #[tokio::test]
    async fn a_younger_connection_overtakes_a_silent_one() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = async {
            let (silent, _) = listener.accept().await.unwrap();
            let (mut speaks, _) = listener.accept().await.unwrap();
            speaks.write_all(b"SSH-2.0-x\r\n").await.unwrap();
            (silent, speaks)
        };
        let mut last = String::new();
        let (stream, (_silent, speaks)) = tokio::join!(until_spoken(address, 1, &mut last), server);
        assert_eq!(stream.local_addr().unwrap(), speaks.peer_addr().unwrap());
    }

    #[tokio::test]
    async fn a_slow_speaker_is_not_given_up() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        // The fourth connection gets its word when the fifth has come.
        let server = async {
            let mut held = Vec::new();
            while held.len() < 5 {
                held.push(listener.accept().await.unwrap().0);
            }
            held[3].write_all(b"SSH-2.0-x\r\n").await.unwrap();
            held
        };
        let mut last = String::new();
        let (stream, held) = tokio::join!(until_spoken(address, 1, &mut last), server);
        assert_eq!(stream.local_addr().unwrap(), held[3].peer_addr().unwrap());
    }

    #[tokio::test]
    async fn another_service_is_quoted() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = async {
            listener.accept().await.unwrap().0.write_all(b"Not allowed at this time\r\n").await.unwrap();
        };
        let (answer, ()) = tokio::join!(once(address), server);
        assert_eq!(answer.unwrap_err(), "it says `Not allowed at this time` and no SSH banner");
    }
}
