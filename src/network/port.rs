//! Ports of the host that stay a lab's for its life, so that what points at them stays true when nodes start again.

use crate::error::{Error, Result};
use std::net::TcpListener;

/// Below the ports that the kernel gives to outgoing connections (32768 and up), above those with a meaning.
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

/// A port of 127.0.0.1 that nobody listens on and that is not among `taken`: for the same words mostly the same one.
///
/// # Errors
/// None is free.
pub fn reserve(words: &[&str], taken: &[u16]) -> Result<u16> {
    let digest = blake3::hash(words.join("\n").as_bytes());
    let start = u16::from_le_bytes([digest.as_bytes()[0], digest.as_bytes()[1]]) % COUNT;
    let mut all = (0..COUNT).map(|n| FIRST + (start + n) % COUNT).filter(|port| !taken.contains(port));
    all.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .ok_or_else(|| Error::host("reserve a port", "something listens on every port that could be"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_one_unless_somebody_has_it() {
        let words = ["/state", "a-lab", &std::process::id().to_string()];
        let port = reserve(&words, &[]).unwrap();
        assert!((FIRST..FIRST + COUNT).contains(&port));
        assert_ne!(reserve(&words, &[port]).unwrap(), port);
        let _held = TcpListener::bind(("127.0.0.1", port)).unwrap();
        assert_ne!(reserve(&words, &[]).unwrap(), port);
    }
}
