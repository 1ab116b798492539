//! Finding out whether anybody answers: a connection counts when its other end has spoken.
//!
//! A forward to a virtual machine accepts before the guest listens. Such a connection stays open and silent, and is
//! handed to the guest only when the forward repeats its SYN: 6, 18, 42, 90 s after it was made. One patient connection
//! can therefore come half a minute late. Impatient ones are no better: each reaches the guest in the end, also when we
//! left it long ago, costs it a process, and sshd locks out a source of many that do not log in. So a few wait side by
//! side, none is left before one has spoken, and the older the wait, the rarer a new one.

use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

/// From the first connection to the second while all are silent, in milliseconds on an accelerated node.
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
    let begun = Instant::now();
    let mut next = begun;
    let mut tries = JoinSet::new();
    loop {
        tokio::select! {
            Some(ended) = tries.join_next() => {
                match ended {
                    Ok(Ok(stream)) => return stream,
                    Ok(Err(why)) => *last = why,
                    Err(e) => *last = e.to_string(),
                }
                next = next.min(Instant::now() + RETRY);
            }
            () = sleep_until(next) => {
                if !tries.is_empty() {
                    "it accepts connections, but says nothing".clone_into(last);
                }
                tries.spawn(once(address));
                next = Instant::now() + pause(begun.elapsed(), slowness);
            }
        }
    }
}

/// From one connection to the next, all silent: as long as was waited so far, at least the stagger. That makes 5 in an
/// emulated boot of 50 s, whose repeated SYNs leave no gap above 6 s. sshd counts a second's penalty for each without a
/// login and locks out at 15; each costs an emulated node about half a second.
fn pause(waited: Duration, slowness: u64) -> Duration {
    waited.max(Duration::from_millis(STAGGER * slowness.clamp(1, 8)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    #[test]
    fn a_long_boot_sees_few_connections() {
        let within = |limit: u64, slowness| {
            let mut times = vec![Duration::ZERO];
            while let Some(last) = times.last().filter(|t| t.as_secs() < limit) {
                times.push(*last + pause(*last, slowness));
            }
            times.len() - 1
        };
        assert_eq!((within(5, 1), within(50, 12), within(600, 12)), (5, 5, 9));
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
        // The first connection gets its word when the fourth has come.
        let server = async {
            let mut held = Vec::new();
            while held.len() < 4 {
                held.push(listener.accept().await.unwrap().0);
            }
            held[0].write_all(b"SSH-2.0-x\r\n").await.unwrap();
            held
        };
        let mut last = String::new();
        let (stream, held) = tokio::join!(until_spoken(address, 1, &mut last), server);
        assert_eq!(stream.local_addr().unwrap(), held[0].peer_addr().unwrap());
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
