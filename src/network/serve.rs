//! The switch's sockets: one listener per segment, until the process is told to end.

use super::frame::{StreamSink, StreamSource};
use super::switch::Switch;
use crate::error::{Context, Error, Result};
use crate::event::Reporter;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{UnixListener, UnixStream};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinSet;

/// The longest path of a unix socket on every host (macOS has 104 bytes with the final zero).
pub const MAX_SOCKET_PATH: usize = 103;

/// Serves one isolated segment per socket until SIGTERM or SIGINT, then removes the sockets. `ready` is called once
/// all sockets take connections. Sockets left by a switch that was killed are replaced, so the caller sees to it that
/// no other one serves them.
pub async fn serve(sockets: Vec<PathBuf>, ready: impl FnOnce() -> Result<()>, reporter: &Reporter) -> Result<()> {
    // Before the sockets: a signal that comes early must still remove them.
    let mut ends = [listen_to(SignalKind::terminate())?, listen_to(SignalKind::interrupt())?];
    // A closed terminal is not the end of the lab's networks; a handler that does nothing keeps the default away.
    let _hangup = listen_to(SignalKind::hangup())?;
    let mut segments = JoinSet::new();
    let mut bound = Vec::new();
    for path in sockets {
        let listener = bind(&path)?;
        bound.push(Socket(path.clone()));
        segments.spawn(segment(listener, path, reporter.clone()));
    }
    ready()?;
    let [terminate, interrupt] = &mut ends;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

fn listen_to(kind: SignalKind) -> Result<Signal> {
    signal(kind).context(|| "listen to signals")
}

/// A socket's file, removed with it.
struct Socket(PathBuf);

impl Drop for Socket {
    fn drop(&mut self) {
        // Gone already is as good.
        let _ = std::fs::remove_file(&self.0);
    }
}

fn bind(path: &Path) -> Result<UnixListener> {
    let what = || format!("open the network socket {}", path.display());
    if path.as_os_str().len() > MAX_SOCKET_PATH {
        return Err(Error::input(what(), format!("its path has more than {MAX_SOCKET_PATH} bytes"))
            .hint("set LAB_RUN_DIR to a shorter folder, or give the network a shorter name"));
    }
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != ErrorKind::NotFound => return Err(Error::failed(what(), e)),
        _ => {}
    }
    UnixListener::bind(path).context(what)
}

/// One network's segment: every connection is a port.
async fn segment(listener: UnixListener, path: PathBuf, reporter: Reporter) {
    let switch = Arc::new(Switch::default());
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(port(Arc::clone(&switch), stream, path.clone(), reporter.clone()));
            }
            Err(e) => {
                reporter.note(format!("{}: cannot take a connection: {e}", path.display()));
                // Out of descriptors: nothing tells when there are some again, and accept fails at once until then.
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        }
    }
}

async fn port(switch: Arc<Switch>, stream: UnixStream, path: PathBuf, reporter: Reporter) {
    let (read, write) = stream.into_split();
    match switch.attach(StreamSource::new(read), StreamSink::new(write)).await {
        // A node that was stopped.
        Err(e) if matches!(e.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => {}
        Err(e) => reporter.note(format!("{}: a port was closed: {e}", path.display())),
        Ok(()) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn segments_are_isolated_and_stale_sockets_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let paths = vec![dir.path().join("net-a.sock"), dir.path().join("net-b.sock")];
        drop(std::os::unix::net::UnixListener::bind(&paths[0]).unwrap());
        let (tell, ready) = tokio::sync::oneshot::channel();
        let served = paths.clone();
        let server = tokio::spawn(async move {
            let ready = || {
                let _ = tell.send(());
                Ok(())
            };
            serve(served, ready, &Reporter::silent()).await
        });
        ready.await.unwrap();
        let mut a1 = UnixStream::connect(&paths[0]).await.unwrap();
        let mut a2 = UnixStream::connect(&paths[0]).await.unwrap();
        let mut b = UnixStream::connect(&paths[1]).await.unwrap();
        let wire = [&[0, 0, 0, 14][..], &[255; 6], &[2; 6], &[8, 0]].concat();
        let mut got = vec![0; wire.len()];
        // Accepting takes a moment; sending again is what a guest would do too.
        while tokio::time::timeout(Duration::from_millis(50), a2.read_exact(&mut got)).await.is_err() {
            a1.write_all(&wire).await.unwrap();
        }
        assert_eq!(got, wire);
        assert!(tokio::time::timeout(Duration::from_millis(50), b.read_u8()).await.is_err(), "another segment");
        server.abort();
        assert!(server.await.unwrap_err().is_cancelled());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "its sockets go with it");
    }

    #[tokio::test]
    async fn a_long_path_is_refused_with_what_to_do() {
        let path = PathBuf::from("/tmp").join("x".repeat(120));
        let e = serve(vec![path], || Ok(()), &Reporter::silent()).await.unwrap_err();
        assert!(e.hint.unwrap().contains("LAB_RUN_DIR"));
    }
}
