//! How fast the switch moves frames from one port to another, beside the same bytes through one socket without it.
//! What a node's own network stack and QEMU add to that is not in it.

use lab::network::frame::{StreamSink, StreamSource, encode};
use lab::network::switch::Switch;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::Semaphore;

/// A full frame of an interface with an MTU of 1500 bytes: 14 of header, then the packet.
const FRAME: usize = 1514;
/// Written at once, as a guest hands over what its stack had ready.
const BATCH: usize = 64;
/// Frames on their way, as the window of a TCP connection bounds them; the switch has room for more, so that none is lost.
const WINDOW: usize = 16 * BATCH;
const BATCHES: usize = 5_000;
const ROUNDS: usize = 5;

#[tokio::main]
async fn main() {
    let (mut plain, mut switched) = (Duration::MAX, Duration::MAX);
    // By turns, and the shortest of each: what others do on the host only adds.
    for _ in 0..ROUNDS {
        let (to, from) = UnixStream::pair().expect("a pair of sockets");
        plain = plain.min(carry(to, from).await);
        switched = switched.min(through_the_switch().await);
    }
    println!("{} frames of {FRAME} bytes", BATCHES * BATCH);
    println!("baseline: one socket   {:8.0} Mbit/s", speed(plain));
    let ratio = switched.as_secs_f64() / plain.as_secs_f64();
    println!("through the switch     {:8.0} Mbit/s, {ratio:.1} times the time", speed(switched));
}

fn speed(time: Duration) -> f64 {
    (BATCHES * BATCH * FRAME * 8) as f64 / time.as_secs_f64() / 1e6
}

async fn through_the_switch() -> Duration {
    let switch = Arc::new(Switch::default());
    let (mut sender, one) = UnixStream::pair().expect("a pair of sockets");
    let (mut receiver, two) = UnixStream::pair().expect("a pair of sockets");
    for stream in [one, two] {
        let switch = Arc::clone(&switch);
        tokio::spawn(async move {
            let (read, write) = stream.into_split();
            switch.attach(StreamSource::new(read), StreamSink::new(write)).await
        });
    }
    introduce(&mut receiver, &mut sender, 2, 1).await;
    introduce(&mut sender, &mut receiver, 1, 2).await;
    carry(sender, receiver).await
}

/// Sends one frame until it arrives: the ports are there, and the switch knows whose address is where.
async fn introduce(from: &mut UnixStream, to: &mut UnixStream, own: u8, other: u8) {
    let mut wire = Vec::new();
    encode(&frame(own, other), &mut wire);
    let mut got = vec![0; wire.len()];
    loop {
        from.write_all(&wire).await.expect("the switch reads");
        if tokio::time::timeout(Duration::from_millis(100), to.read_exact(&mut got)).await.is_ok() {
            return;
        }
    }
}

fn frame(from: u8, to: u8) -> Vec<u8> {
    let mut frame = vec![0; FRAME];
    frame[..14].copy_from_slice(&[2, 0, 0, 0, 0, to, 2, 0, 0, 0, 0, from, 8, 0]);
    frame
}

/// The time from the first byte sent to the last one received.
async fn carry(mut sender: UnixStream, mut receiver: UnixStream) -> Duration {
    let mut batch = Vec::new();
    (0..BATCH).for_each(|_| encode(&frame(1, 2), &mut batch));
    let room = Arc::new(Semaphore::new(WINDOW));
    let taken = Arc::clone(&room);
    let total = BATCHES * batch.len();
    let begun = Instant::now();
    let reading = tokio::spawn(async move {
        let (mut buffer, mut got, mut freed) = (vec![0; 256 << 10], 0, 0);
        while got < total {
            got += receiver.read(&mut buffer).await.expect("the other end is there");
            let whole = got / (FRAME + 4);
            taken.add_permits(whole - freed);
            freed = whole;
        }
    });
    for _ in 0..BATCHES {
        room.acquire_many(BATCH as u32).await.expect("never closed").forget();
        sender.write_all(&batch).await.expect("the other end is there");
    }
    reading.await.expect("the reader ends");
    begun.elapsed()
}
