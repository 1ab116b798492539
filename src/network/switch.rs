//! One segment: frames go to the port where their receiver was last seen, or to all. A port is any duplex of frames.

use super::frame::{Frame, FrameSink, FrameSource};
use super::table::{Mac, PortId, Table, is_group};
use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// The most ports of one segment: far beyond any lab, far below the descriptors a process may have.
pub const MAX_PORTS: usize = 256;

/// What may wait for one port: enough for a TCP window in flight, little enough for many ports.
const QUEUE_FRAMES: usize = 4096;
const QUEUE_BYTES: usize = 4 << 20;

/// How many waiting frames are handed to a port at once.
const BATCH: usize = 64;

/// How often old addresses are looked for.
const SWEEP: Duration = Duration::from_secs(10);

/// A learning Ethernet switch of one network.
#[derive(Default)]
pub struct Switch {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    ports: HashMap<PortId, Queue>,
    table: Table,
    next: PortId,
    swept: Option<Instant>,
}

/// The sending side of a port's queue. Frames that find it full are dropped, as by any switch: a guest that is stopped
/// must not stall the others.
struct Queue {
    frames: mpsc::Sender<Frame>,
    bytes: Arc<AtomicUsize>,
}

impl Queue {
    fn offer(&self, frame: &Frame) {
        if self.bytes.load(Ordering::Relaxed) + frame.len() > QUEUE_BYTES {
            return;
        }
        // Counted before it is sent: the other side may take it out, and off the count, at once.
        self.bytes.fetch_add(frame.len(), Ordering::Relaxed);
        if self.frames.try_send(Arc::clone(frame)).is_err() {
            self.bytes.fetch_sub(frame.len(), Ordering::Relaxed);
        }
    }
}

/// A port's place on the switch, given up when dropped.
struct Membership<'a> {
    switch: &'a Switch,
    port: PortId,
    frames: mpsc::Receiver<Frame>,
    bytes: Arc<AtomicUsize>,
}

impl Drop for Membership<'_> {
    fn drop(&mut self) {
        let mut state = self.switch.lock();
        state.ports.remove(&self.port);
        state.table.forget(self.port);
    }
}

impl Switch {
    /// Runs a port until one of its sides ends; the error is why, when it did not end cleanly.
    pub async fn attach(&self, source: impl FrameSource, sink: impl FrameSink) -> io::Result<()> {
        let mut member = self.join()?;
        let port = member.port;
        tokio::select! {
            ended = self.read_from(port, source) => ended,
            ended = member.write_to(sink) => ended,
        }
    }

    fn join(&self) -> io::Result<Membership<'_>> {
        let mut state = self.lock();
        if state.ports.len() >= MAX_PORTS {
            return Err(io::Error::other(format!("the segment has {MAX_PORTS} ports already")));
        }
        let (sender, frames) = mpsc::channel(QUEUE_FRAMES);
        let bytes = Arc::new(AtomicUsize::new(0));
        let port = state.next;
        state.next += 1;
        state.ports.insert(port, Queue { frames: sender, bytes: Arc::clone(&bytes) });
        Ok(Membership { switch: self, port, frames, bytes })
    }

    async fn read_from(&self, port: PortId, mut source: impl FrameSource) -> io::Result<()> {
        while let Some(frame) = source.next().await? {
            self.forward(port, &frame);
        }
        Ok(())
    }

    /// Hands a frame of a port to whom it may concern. What is too short to have addresses is dropped: a guest can
    /// send such a thing without its stream being broken.
    fn forward(&self, from: PortId, frame: &Frame) {
        let Some((to, sender)) = addresses(frame) else { return };
        let now = Instant::now();
        let mut state = self.lock();
        if state.swept.is_none_or(|at| now.duration_since(at) > SWEEP) {
            state.table.expire(now);
            state.swept = Some(now);
        }
        state.table.learn(sender, from, now);
        let known = if is_group(to) { None } else { state.table.find(to, now) };
        match known {
            Some(port) if port == from => {}
            Some(port) => state.ports.get(&port).into_iter().for_each(|queue| queue.offer(frame)),
            None => state.ports.iter().filter(|(id, _)| **id != from).for_each(|(_, queue)| queue.offer(frame)),
        }
    }

    /// No code that holds the lock can panic half-way through a change, so a poisoned lock is still good.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Membership<'_> {
    async fn write_to(&mut self, mut sink: impl FrameSink) -> io::Result<()> {
        let mut batch = Vec::with_capacity(BATCH);
        while self.frames.recv_many(&mut batch, BATCH).await > 0 {
            self.bytes.fetch_sub(batch.iter().map(|f| f.len()).sum(), Ordering::Relaxed);
            sink.send(&batch).await?;
            batch.clear();
        }
        Ok(())
    }
}

/// Receiver and sender of a frame.
fn addresses(frame: &[u8]) -> Option<(Mac, Mac)> {
    let (to, rest) = frame.split_first_chunk::<6>()?;
    let (from, rest) = rest.split_first_chunk::<6>()?;
    (rest.len() >= 2).then_some((*to, *from))
}

#[cfg(test)]
mod tests {
    use super::super::frame::{StreamSink, StreamSource, encode};
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixStream;
    use tokio::task::JoinHandle;
    use tokio::time::timeout;

    const A: Mac = [2, 0, 0, 0, 0, 1];
    const B: Mac = [2, 0, 0, 0, 0, 2];
    const ALL: Mac = [255; 6];

    fn frame(to: Mac, from: Mac, body: &[u8]) -> Vec<u8> {
        [&to[..], &from[..], &[8, 0], body].concat()
    }

    struct Guest {
        stream: UnixStream,
        ended: JoinHandle<io::Result<()>>,
    }

    impl Guest {
        fn on(switch: &Arc<Switch>) -> Self {
            let (ours, theirs) = UnixStream::pair().unwrap();
            let switch = Arc::clone(switch);
            let ended = tokio::spawn(async move {
                let (r, w) = theirs.into_split();
                switch.attach(StreamSource::new(r), StreamSink::new(w)).await
            });
            Self { stream: ours, ended }
        }

        async fn send(&mut self, frame: &[u8]) {
            let mut wire = Vec::new();
            encode(frame, &mut wire);
            self.stream.write_all(&wire).await.unwrap();
        }

        async fn receive(&mut self) -> Vec<u8> {
            let length = timeout(Duration::from_secs(10), self.stream.read_u32()).await.unwrap().unwrap();
            let mut frame = vec![0; length as usize];
            self.stream.read_exact(&mut frame).await.unwrap();
            frame
        }
    }

    /// Ports join in tasks of their own; a frame that comes back proves that both are there.
    async fn three(switch: &Arc<Switch>) -> (Guest, Guest, Guest) {
        let guests = (Guest::on(switch), Guest::on(switch), Guest::on(switch));
        while switch.lock().ports.len() < 3 {
            tokio::task::yield_now().await;
        }
        guests
    }

    #[tokio::test]
    async fn floods_what_it_does_not_know_and_learns() {
        let switch = Arc::new(Switch::default());
        let (mut a, mut b, mut c) = three(&switch).await;
        let hello = frame(ALL, A, b"hello");
        a.send(&hello).await;
        assert_eq!(b.receive().await, hello);
        assert_eq!(c.receive().await, hello);
        let answer = frame(A, B, b"answer");
        b.send(&answer).await;
        assert_eq!(a.receive().await, answer);
        a.send(&frame(B, A, b"known")).await;
        assert_eq!(b.receive().await, frame(B, A, b"known"));
        let last = frame(ALL, A, b"last");
        a.send(&last).await;
        assert_eq!(c.receive().await, last, "neither the answer nor what followed went to a third");
    }

    #[tokio::test]
    async fn a_broken_stream_closes_its_port_only() {
        let switch = Arc::new(Switch::default());
        let (mut a, mut b, mut c) = three(&switch).await;
        c.stream.write_all(&[0xff; 64]).await.unwrap();
        let why = c.ended.await.unwrap().unwrap_err();
        assert_eq!(why.kind(), io::ErrorKind::InvalidData);
        a.send(&[1, 2, 3]).await;
        a.send(&frame(ALL, A, b"still here")).await;
        assert_eq!(b.receive().await, frame(ALL, A, b"still here"));
        assert_eq!(switch.lock().ports.len(), 2);
    }

    #[tokio::test]
    async fn a_guest_that_does_not_read_stalls_nobody_and_costs_bounded_memory() {
        let switch = Arc::new(Switch::default());
        let (mut a, mut b, stopped) = three(&switch).await;
        let body = vec![0; 60_000];
        for _ in 0..400 {
            a.send(&frame(ALL, A, &body)).await;
            assert_eq!(b.receive().await.len(), 14 + body.len());
        }
        let state = switch.lock();
        let most = state.ports.values().map(|q| q.bytes.load(Ordering::Relaxed)).max().unwrap();
        assert!((QUEUE_BYTES / 2..=QUEUE_BYTES).contains(&most), "{most} bytes wait");
        drop(state);
        drop(stopped);
    }
}
