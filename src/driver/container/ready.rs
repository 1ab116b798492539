//! How a node says that it has finished booting: systemd sends a datagram to a socket that we mount into the node
//! (sd_notify(3)). A port that answers would prove less, and would have to be tried again and again.

use super::disk::remove_file;
use super::process;
use crate::driver::Place;
use crate::error::{Context, Result};
use crate::state::process::ProcessId;
use std::path::PathBuf;
use std::time::Duration;
use tokio::net::UnixDatagram;
use tokio::time::{Instant, timeout_at};

/// Where the socket is in a node.
pub const INSIDE: &str = "/run/host/notify";

/// How long a boot is waited for. A node that takes longer is left to those who log into it.
const LIMIT: Duration = Duration::from_secs(60);

/// The socket on the host.
pub fn socket(place: &Place) -> PathBuf {
    place.socket("notify")
}

/// What listens for one boot of a node.
pub struct Listener(UnixDatagram);

/// Opens the socket anew.
pub fn listen(place: &Place) -> Result<Listener> {
    let what = || "listen for the node's boot";
    remove_file(&socket(place))?;
    UnixDatagram::bind(socket(place)).context(what).map(Listener)
}

impl Listener {
    /// Waits until the node has booted, has died, or has had its time; which of these, others find out.
    pub async fn wait(self, node: ProcessId) {
        let deadline = Instant::now() + LIMIT;
        let mut text = [0; 4096];
        let booted = async {
            // An error of the socket is no error of the node.
            while let Ok(Ok(count)) = timeout_at(deadline, self.0.recv(&mut text)).await {
                if is_ready(&text[..count]) {
                    break;
                }
            }
        };
        tokio::select! {
            () = booted => {}
            () = process::ended(node) => {}
        }
    }
}

fn is_ready(text: &[u8]) -> bool {
    text.split(|b| *b == b'\n').any(|line| line == b"READY=1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_node_is_waited_for_until_it_says_that_it_is_ready() {
        let dir = tempfile::tempdir().unwrap();
        let place = Place { lab: "l".into(), node: "n".into(), dir: dir.path().into(), run: dir.path().into() };
        let node = ProcessId::of(std::process::id()).unwrap();
        drop(listen(&place).unwrap());
        let listener = listen(&place).unwrap();
        let said = UnixDatagram::unbound().unwrap();
        said.send_to(b"STATUS=READY=1 soon", socket(&place)).await.unwrap();
        said.send_to(b"STATUS=up\nREADY=1", socket(&place)).await.unwrap();
        listener.wait(node).await;
        assert!(!is_ready(b"STATUS=READY=1 soon"));
    }
}
