//! The network switch against a guest that means harm: its memory is bounded, and the others go on.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

struct Switch {
    child: Child,
    dir: tempfile::TempDir,
}

impl Switch {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut child = Command::new(assert_cmd::cargo::cargo_bin("lab"))
            .args(["switch", "--run"])
            .arg(dir.path())
            .args(["--", "lan"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut ready = [0; 6];
        child.stdout.as_mut().unwrap().read_exact(&mut ready).unwrap();
        Self { child, dir }
    }

    fn port(&self) -> UnixStream {
        let socket = std::fs::read_dir(self.dir.path()).unwrap().flatten().map(|e| e.path());
        let socket = socket.into_iter().find(|p| p.extension().is_some_and(|e| e == "sock")).unwrap();
        let stream = UnixStream::connect(socket).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }

    /// The most memory it ever had, in KiB.
    fn peak(&self) -> u64 {
        let text =
            std::fs::read_to_string(Path::new("/proc").join(self.child.id().to_string()).join("status")).unwrap();
        let line = text.lines().find(|l| l.starts_with("VmHWM")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const ALL: u8 = 0xff;

fn wire(to: u8, from: u8, body: &[u8]) -> Vec<u8> {
    let to = if to == ALL { [ALL; 6] } else { [2, 0, 0, 0, 0, to] };
    let frame = [&to[..], &[2, 0, 0, 0, 0, from], &[8, 0], body].concat();
    [&u32::try_from(frame.len()).unwrap().to_be_bytes()[..], &frame].concat()
}

/// A frame from one port that must arrive at another, whatever else arrives there.
fn passes(from: &mut UnixStream, to: &mut UnixStream, frame: &[u8]) {
    from.write_all(frame).unwrap();
    loop {
        let mut length = [0; 4];
        to.read_exact(&mut length).unwrap();
        let mut got = vec![0; u32::from_be_bytes(length) as usize];
        to.read_exact(&mut got).unwrap();
        if got == frame[4..] {
            return;
        }
    }
}

/// Two good guests that know each other.
fn pair(switch: &Switch) -> (UnixStream, UnixStream) {
    let (mut a, mut b) = (switch.port(), switch.port());
    b.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let hello = wire(ALL, 1, b"hello");
    let mut got = vec![0; hello.len()];
    // Accepting takes a moment; sending again is what a guest would do too.
    while b.read_exact(&mut got).is_err() {
        a.write_all(&hello).unwrap();
    }
    b.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    passes(&mut b, &mut a, &wire(1, 2, b"here"));
    (a, b)
}

#[test]
fn a_hostile_guest_harms_nobody_else_and_memory_is_bounded() {
    let switch = Switch::start();
    let (mut a, mut b) = pair(&switch);
    // Half a frame for ever, in many connections.
    let halves: Vec<UnixStream> = (0..100)
        .map(|_| {
            let mut port = switch.port();
            port.write_all(&60_000u32.to_be_bytes()).unwrap();
            port.write_all(&[7; 30_000]).unwrap();
            port
        })
        .collect();
    // Lengths that no frame has, and frames without addresses.
    for bad in [&[0xff; 64][..], &65_551u32.to_be_bytes(), &[0x80, 0, 0, 0, 1, 2, 3]] {
        let mut port = switch.port();
        port.write_all(bad).unwrap();
        assert_eq!(port.read(&mut [0; 16]).unwrap_or(0), 0, "such a port is closed");
    }
    let mut short = switch.port();
    for length in 0..14u8 {
        short.write_all(&[&[0, 0, 0, length][..], &vec![1; length as usize]].concat()).unwrap();
    }
    passes(&mut a, &mut b, &wire(2, 1, b"after noise"));
    // A flood of the largest frames to everybody and of senders that nobody has, which nobody of the halves reads.
    let mut flood = switch.port();
    let flooding = std::thread::spawn(move || {
        for round in 0..3000u32 {
            let mut frame = wire(ALL, 9, &[9; 8000]);
            frame[10..14].copy_from_slice(&round.to_be_bytes());
            if flood.write_all(&frame).is_err() {
                return;
            }
        }
    });
    for round in 0..200u32 {
        passes(&mut a, &mut b, &wire(2, 1, &round.to_be_bytes()));
        // What was flooded to it in between is read by nobody here: it may be dropped, but not keep others.
    }
    flooding.join().unwrap();
    passes(&mut a, &mut b, &wire(2, 1, b"after the flood"));
    // A hundred ports that do not read may each have what one queue holds, and no more.
    assert!(switch.peak() < 100 * 5 * 1024, "{} KiB", switch.peak());
    drop(halves);
}
