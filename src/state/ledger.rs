//! What a lab has outside its own folder, written down before it is made: where each node lives and by which driver, and
//! where its sockets are. A driver finds a node's processes, cgroups and sockets by that place alone, so nothing else has
//! to be known to remove them. Lines stand for themselves: a damaged one costs no other.

use super::sealed;
use crate::driver::Place;
use crate::error::{Context, Result};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Something outside the lab's folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Thing {
    /// All that a driver makes for a node.
    Node { driver: String, place: Place },
    /// The folder of the lab's sockets, and the switch that serves them.
    Sockets(PathBuf),
}

fn path(dir: &Path) -> PathBuf {
    dir.join("ledger")
}

/// What the ledger of the lab in this folder names.
pub fn read(dir: &Path) -> Vec<Thing> {
    let bytes = std::fs::read(path(dir)).unwrap_or_default();
    bytes.split(|b| *b == b'\n').filter_map(sealed::read_line).collect()
}

/// Writes down what is not there yet; on disk when this returns.
pub fn note(dir: &Path, things: &[Thing]) -> Result<()> {
    let what = || "write the lab's ledger";
    let known = read(dir);
    let mut text = String::new();
    for thing in things.iter().filter(|thing| !known.contains(thing)) {
        text += &sealed::line(thing).context(what)?;
    }
    if text.is_empty() {
        return Ok(());
    }
    let mut file = File::options().create(true).append(true).mode(0o600).open(path(dir)).context(what)?;
    // The newline before ends what a write that was cut has left.
    file.write_all(format!("\n{text}").as_bytes()).and_then(|()| file.sync_data()).context(what)?;
    File::open(dir).and_then(|dir| dir.sync_all()).context(what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str) -> Thing {
        let place = Place { lab: "l".into(), node: name.into(), dir: format!("/s/l/{name}").into(), run: "/r".into() };
        Thing::Node { driver: "qemu".into(), place }
    }

    #[test]
    fn every_thing_is_named_once_and_a_damaged_line_costs_only_itself() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read(dir.path()), []);
        note(dir.path(), &[node("a"), Thing::Sockets("/r".into())]).unwrap();
        note(dir.path(), &[node("a"), node("b")]).unwrap();
        let all = [node("a"), Thing::Sockets("/r".into()), node("b")];
        assert_eq!(read(dir.path()), all);
        let text = std::fs::read(path(dir.path())).unwrap();
        for at in 0..text.len() {
            let mut flipped = text.clone();
            flipped[at] ^= 1;
            std::fs::write(path(dir.path()), &flipped).unwrap();
            let left = read(dir.path());
            // A flipped newline joins two lines.
            assert!(left.len() + 2 >= all.len() && left.iter().all(|thing| all.contains(thing)), "byte {at}");
            std::fs::write(path(dir.path()), &text[..at]).unwrap();
            note(dir.path(), &all).unwrap();
            assert!(all.iter().all(|thing| read(dir.path()).contains(thing)), "{at} bytes, written to again");
        }
    }
}
