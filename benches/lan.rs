//! How fast TCP is between two container nodes on a bridge, which is their eth1, and how fast it would be through the switch of
//! virtual machines, with a TAP device of each node as a port. Everything is in network namespaces of its own. Needs root.

use lab::network::frame::{Frame, FrameSink, FrameSource};
use lab::network::switch::Switch;
use rustix::fs::{Mode, OFlags};
use rustix::ioctl;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::process::{Child, Command};
use std::sync::Arc;
use std::time::Instant;
use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe;

const ROUNDS: usize = 3;
/// Bytes of one round.
const BRIDGE: usize = 4 << 30;
const SWITCH: usize = 512 << 20;
const PORT: u16 = 5001;

fn main() {
    if !rustix::process::geteuid().is_root() {
        println!("left out: making links needs root");
        return;
    }
    let [one, two, lan] = [Namespace::new(), Namespace::new(), Namespace::new()];
    lan.ip("link add lan0 type bridge");
    lan.ip("link set lan0 up");
    for (node, last) in [(&one, 1), (&two, 2)] {
        lan.ip(&format!("link add port{last} type veth peer name eth1 netns {}", node.pid()));
        lan.ip(&format!("link set port{last} master lan0 up"));
        node.ip("link set eth1 up");
        node.ip(&format!("address add 10.9.1.{last}/24 dev eth1"));
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let switch = Arc::new(Switch::default());
    for (node, last) in [(&one, 1), (&two, 2)] {
        let device = node.tap();
        node.ip("link set tap0 up");
        node.ip(&format!("address add 10.9.2.{last}/24 dev tap0"));
        let switch = Arc::clone(&switch);
        runtime.spawn(async move {
            let source = FromTap(pipe::Receiver::from_file_unchecked(device.try_clone()?)?);
            let sink = ToTap(pipe::Sender::from_file_unchecked(device)?);
            switch.attach(source, sink).await
        });
    }
    let best = |net: u8, bytes: usize| (0..ROUNDS).map(|_| speed(&one, &two, net, bytes)).fold(0.0, f64::max);
    let (bridge, switched) = (best(1, BRIDGE), best(2, SWITCH));
    println!("baseline: veth and a bridge   {bridge:8.0} Mbit/s");
    println!("TAP devices on the switch     {switched:8.0} Mbit/s, {:.1} times slower", bridge / switched);
}

/// Mbit/s of one TCP connection from the first node to the second.
fn speed(from: &Namespace, to: &Namespace, net: u8, bytes: usize) -> f64 {
    let address = SocketAddr::from((Ipv4Addr::new(10, 9, net, 2), PORT));
    let listener = to.inside(move || TcpListener::bind(address).expect("its own address"));
    let mut sender = from.inside(move || TcpStream::connect(address).expect("the other node"));
    let (mut receiver, _) = listener.accept().expect("the connection");
    let begun = Instant::now();
    let reading = std::thread::spawn(move || {
        let mut buffer = vec![0; 256 << 10];
        let mut got = 0;
        while got < bytes {
            got += receiver.read(&mut buffer).expect("what was sent");
        }
    });
    let chunk = vec![0; 64 << 10];
    (0..bytes / chunk.len()).for_each(|_| sender.write_all(&chunk).expect("the other node reads"));
    reading.join().expect("the reader ends");
    (bytes * 8) as f64 / begun.elapsed().as_secs_f64() / 1e6
}

/// A network namespace, which ends with its process.
struct Namespace(Child);

impl Namespace {
    fn new() -> Self {
        let own = Self(Command::new("unshare").args(["--net", "sleep", "infinity"]).spawn().expect("unshare"));
        let at = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/net")).ok();
        // It is there when unshare has come so far.
        while at(&own.pid()) == at("self") {
            std::thread::yield_now();
        }
        own
    }

    fn pid(&self) -> String {
        self.0.id().to_string()
    }

    fn ip(&self, args: &str) {
        let args = args.split(' ');
        let done = Command::new("nsenter").args(["-t", &self.pid(), "-n", "ip"]).args(args.clone()).status();
        assert!(done.expect("nsenter").success(), "ip {}", args.collect::<Vec<_>>().join(" "));
    }

    /// What this does in a thread that is in the namespace: sockets and devices stay where they were made.
    fn inside<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let path = format!("/proc/{}/ns/net", self.pid());
        let thread = std::thread::spawn(move || {
            let namespace = File::open(path).expect("the namespace");
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).expect("root may");
            work()
        });
        thread.join().expect("it does not panic")
    }

    fn tap(&self) -> File {
        self.inside(|| {
            let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
            let device = rustix::fs::open("/dev/net/tun", flags, Mode::empty()).expect("/dev/net/tun");
            let mut request = Request { name: [0; 16], flags: TAP_WITHOUT_HEADER, rest: [0; 22] };
            request.name[..4].copy_from_slice(b"tap0");
            // SAFETY: TUNSETIFF reads, and writes back, a `struct ifreq`, which the type is as large as. No crate that is
            // used here does it, and a bench is not worth another one.
            unsafe { ioctl::ioctl(&device, ioctl::Updater::<TUNSETIFF, Request>::new(&mut request)) }.expect("a TAP");
            File::from(device)
        })
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// linux/if_tun.h: which device a descriptor of /dev/net/tun is.
const TUNSETIFF: ioctl::Opcode = ioctl::opcode::write::<i32>(b'T', 202);
/// IFF_TAP and IFF_NO_PI.
const TAP_WITHOUT_HEADER: u16 = 0x1002;

/// `struct ifreq`: a name, and a union of which only the flags are meant.
#[repr(C)]
struct Request {
    name: [u8; 16],
    flags: u16,
    rest: [u8; 22],
}

/// A TAP device as a port: one frame for each call. Tokio's pipes take any descriptor that can be waited for.
struct FromTap(pipe::Receiver);
struct ToTap(pipe::Sender);

impl FrameSource for FromTap {
    async fn next(&mut self) -> io::Result<Option<Frame>> {
        let mut buffer = [0; 2048];
        loop {
            self.0.readable().await?;
            // Not by `read`: it takes a frame that does not fill the buffer for the last one that is there.
            match self.0.try_read(&mut buffer) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                got => return got.map(|length| Some(Frame::from(&buffer[..length]))),
            }
        }
    }
}

impl FrameSink for ToTap {
    async fn send(&mut self, frames: &[Frame]) -> io::Result<()> {
        for frame in frames {
            self.0.write_all(frame).await?;
        }
        Ok(())
    }
}
