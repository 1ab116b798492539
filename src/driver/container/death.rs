//! How a node ended, by what it left: the last words of its console, and its cgroups.

use super::{console, first_process, memory};
use crate::driver::Place;
use crate::error::Error;
use std::time::{Duration, Instant};

/// systemd's last word before it starts a machine anew. Without SYS_BOOT, which would let a node boot another kernel on
/// the host, that looks like any other end.
const REBOOTING: &str = "Rebooting.";
/// The same before it ends a machine for good.
const POWERING_OFF: &str = "Powering off.";
/// How long a console's last words may take to its log, and how often they are looked for: the copy goes on while
/// anybody has the terminal open, so that its end tells nothing.
const LAST_WORDS: Duration = Duration::from_millis(500);
const LOOK: Duration = Duration::from_millis(20);
/// How long the keeper may take to start a node again that was told to reboot.
const REBOOT: Duration = Duration::from_secs(15);
/// How many lines of the console a message shows.
const LAST_LINES: usize = 15;

/// Whether the console's last words are these.
fn said(place: &Place, word: &str) -> bool {
    console::last_lines(place, LAST_LINES).lines().any(|line| line.trim() == word)
}

/// Whether a node that ended a moment ago was told to reboot.
pub async fn rebooted(place: &Place) -> bool {
    let deadline = Instant::now() + LAST_WORDS;
    while !said(place, REBOOTING) {
        if Instant::now() >= deadline {
            return false;
        }
        tokio::time::sleep(LOOK).await;
    }
    true
}

/// Waits until a node that was told to reboot is there again. Somebody else starts it, so its record is looked for.
pub async fn started_again(place: &Place) -> bool {
    let deadline = Instant::now() + REBOOT;
    while first_process(place).is_none() && Instant::now() < deadline {
        tokio::time::sleep(LOOK).await;
    }
    first_process(place).is_some()
}

/// What became of a node whose first process ended.
pub fn cause(place: &Place) -> &'static str {
    match () {
        () if said(place, REBOOTING) => "it was told to reboot, and nobody started it again",
        () if said(place, POWERING_OFF) => "it was powered off from inside",
        () => "its first process was killed",
    }
}

/// What the kernel did because memory was full, in words.
pub fn memory_kills(place: &Place) -> Option<String> {
    let kills = memory::kills(place);
    let processes = if kills == 1 { "a process".to_owned() } else { format!("{kills} processes") };
    (kills > 0).then(|| format!("the kernel killed {processes} in it because memory was full"))
}

/// Why a node is not running, with the last words of its console.
pub fn tell(place: &Place) -> Error {
    let said = console::last_lines(place, LAST_LINES);
    let mut why = cause(place).to_owned();
    if let Some(kills) = memory_kills(place) {
        why += &format!("; {kills}");
    }
    if !said.is_empty() {
        why += &format!("; its console said last:\n{said}");
    }
    Error::failed("keep the node running", why).on(&place.node).hint("`lab up` starts it again")
}
