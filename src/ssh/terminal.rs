//! The user's terminal: raw while a shell runs on a node, and as it was afterwards.

use crate::error::{Context, Result};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use std::os::fd::AsFd;

/// A terminal in raw mode; goes back to what it was on every way out, panics included.
pub(super) struct Raw<F: AsFd> {
    terminal: F,
    before: Termios,
}

impl<F: AsFd> Raw<F> {
    /// Makes the terminal raw: every key goes to the node.
    pub(super) fn enter(terminal: F) -> Result<Self> {
        let what = || "set the terminal to raw mode".to_owned();
        let before = tcgetattr(&terminal).context(what)?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(&terminal, OptionalActions::Now, &raw).context(what)?;
        Ok(Self { terminal, before })
    }
}

impl<F: AsFd> Drop for Raw<F> {
    fn drop(&mut self) {
        // Nothing more can be done when the terminal is gone.
        let _ = tcsetattr(&self.terminal, OptionalActions::Now, &self.before);
    }
}

/// Columns and rows; 80 by 24 where the terminal does not know, as on a serial line.
pub(super) fn size(terminal: impl AsFd) -> (u32, u32) {
    match tcgetwinsize(terminal) {
        Ok(size) if size.ws_col > 0 && size.ws_row > 0 => (u32::from(size.ws_col), u32::from(size.ws_row)),
        _ => (80, 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{Mode, OFlags, open};
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    use rustix::termios::{LocalModes, Winsize, tcsetwinsize};
    use std::os::fd::OwnedFd;

    fn pty() -> (OwnedFd, OwnedFd) {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let slave = open(name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
        (master, slave)
    }

    fn echoes(terminal: &OwnedFd) -> bool {
        tcgetattr(terminal).unwrap().local_modes.contains(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG)
    }

    #[test]
    fn raw_while_held_and_restored_also_by_a_panic() {
        let (_master, slave) = pty();
        assert!(echoes(&slave));
        let raw = Raw::enter(&slave).unwrap();
        assert!(!echoes(&slave));
        drop(raw);
        assert!(echoes(&slave));
        let panicked = std::panic::catch_unwind(|| {
            let _raw = Raw::enter(&slave).unwrap();
            assert!(echoes(&slave), "expected: raw now");
        });
        assert!(panicked.is_err() && echoes(&slave));
    }

    #[test]
    fn sizes_are_read_or_assumed() {
        let (master, slave) = pty();
        assert_eq!(size(&slave), (80, 24), "a new one is 0 by 0");
        tcsetwinsize(&master, Winsize { ws_col: 132, ws_row: 50, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
        assert_eq!(size(&slave), (132, 50));
    }

    #[test]
    fn what_is_no_terminal_is_refused() {
        let (reader, _writer) = std::io::pipe().unwrap();
        assert!(Raw::enter(&reader).is_err());
    }
}
