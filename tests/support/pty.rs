//! A program on a terminal of its own: what it prints, what is typed, the window's size.

use rustix::fs::{Mode, OFlags, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, ExitStatus};

pub struct Pty {
    master: File,
    slave: OwnedFd,
    child: Child,
    /// All that it printed.
    pub seen: String,
}

impl Pty {
    /// Starts the command, whose terminal this becomes.
    pub fn start(command: &assert_cmd::Command, columns: u16, rows: u16) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let slave = open(name, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty()).unwrap();
        // A terminal belongs to a session, and a child is its leader only by setsid(1). Who runs the tests in the background
        // has Ctrl-C ignored, and so would the child.
        let mut child = Command::new("env");
        child
            .args(["--default-signal=INT,QUIT", "setsid", "--ctty", "--wait"])
            .arg(command.get_program())
            .args(command.get_args());
        child.current_dir(command.get_current_dir().unwrap()).env("TERM", "xterm-256color").env_remove("NO_COLOR");
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => child.env(name, value),
                None => child.env_remove(name),
            };
        }
        let end = || slave.try_clone().unwrap();
        child.stdin(end()).stdout(end()).stderr(end());
        tcsetwinsize(&slave, winsize(columns, rows)).unwrap();
        let child = child.spawn().unwrap();
        Self { master: File::from(master), slave, child, seen: String::new() }
    }

    /// Reads until it has printed this, after what was waited for before; returns what came till then.
    pub fn wait_for(&mut self, text: &str) -> String {
        let from = self.seen.len();
        let mut buffer = [0; 4096];
        while !self.seen[from..].contains(text) {
            let n = self.master.read(&mut buffer).unwrap_or(0);
            assert!(n > 0, "it ended before it said `{text}`: {}", self.seen);
            self.seen += &String::from_utf8_lossy(&buffer[..n]);
        }
        self.seen[from..].to_owned()
    }

    pub fn type_in(&mut self, keys: &str) {
        self.master.write_all(keys.as_bytes()).unwrap();
    }

    pub fn resize(&self, columns: u16, rows: u16) {
        tcsetwinsize(&self.master, winsize(columns, rows)).unwrap();
    }

    /// Whether keys are shown and Ctrl-C is a signal, as in a shell.
    pub fn is_cooked(&self) -> bool {
        let modes = tcgetattr(&self.slave).unwrap().local_modes;
        modes.contains(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG)
    }

    /// Waits for its end, with all that it printed.
    pub fn end(&mut self) -> ExitStatus {
        let status = self.child.wait().unwrap();
        // Our own end of the terminal keeps it from hanging up: what is still in it is read up to a mark of ours.
        File::from(self.slave.try_clone().unwrap()).write_all(b"\x04end\x04").unwrap();
        self.wait_for("\x04end\x04");
        status
    }
}

fn winsize(columns: u16, rows: u16) -> Winsize {
    Winsize { ws_col: columns, ws_row: rows, ws_xpixel: 0, ws_ypixel: 0 }
}
