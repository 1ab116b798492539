//! Addresses and prefixes as routes and rules write them.

use crate::error::{Error, Result};
use std::net::IpAddr;

/// A network prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Prefix {
    address: IpAddr,
    pub length: u8,
}

impl Prefix {
    /// Reads `10.0.0.0/8`, `10.0.0.0/255.0.0.0`, `10.0.0.1`; `default` needs the family and is not read here.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address.parse().ok()?, Some(length)),
            None => (text.parse().ok()?, None),
        };
        let bits = if matches!(address, IpAddr::V4(_)) { 32 } else { 128 };
        let length = match length {
            None => bits,
            Some(length) => length.parse().ok().or_else(|| mask_length(length))?,
        };
        (length <= bits).then_some(Self { address, length })
    }

    /// Whether it covers the address; never across families.
    pub fn contains(&self, address: IpAddr) -> bool {
        let (ours, theirs, bits) = match (self.address, address) {
            (IpAddr::V4(a), IpAddr::V4(b)) => (u128::from(a.to_bits()), u128::from(b.to_bits()), 32),
            (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits(), b.to_bits(), 128),
            _ => return false,
        };
        // A shift by all bits of the type would overflow; a prefix of length 0 covers everything.
        self.length == 0 || (ours ^ theirs) >> (bits - u32::from(self.length)) == 0
    }
}

/// Whether a route's destination is a part of the network, the network itself included.
pub fn in_network(destination: &str, network: &str) -> bool {
    let (Some(part), Some(whole)) = (Prefix::parse(destination), Prefix::parse(network)) else { return false };
    part.length >= whole.length && whole.contains(part.address)
}

/// The length of a dotted mask; none when its ones have gaps.
fn mask_length(mask: &str) -> Option<u8> {
    let bits = mask.parse::<std::net::Ipv4Addr>().ok()?.to_bits();
    (bits.leading_ones() + bits.trailing_zeros() == 32 || bits == 0).then_some(bits.leading_ones() as u8)
}

/// Reads an address that the user gave.
///
/// # Errors
/// When it is none.
pub(super) fn address(text: &str) -> Result<IpAddr> {
    let hint = "an address looks like 10.244.1.2 or fd00::2";
    text.parse().map_err(|_| Error::input(format!("explain {text:?}"), "it is no IP address").hint(hint))
}

/// `10.244.1.2:80`, `[fd00::2]:80`, as kube-proxy writes endpoints.
pub(super) fn endpoint(address: &str, port: u16) -> String {
    if address.contains(':') { format!("[{address}]:{port}") } else { format!("{address}:{port}") }
}

/// The reverse of [`endpoint`]; a destination without a port keeps the packet's.
pub(super) fn parse_endpoint(text: &str, port: u16) -> Option<(IpAddr, u16)> {
    if let Ok(socket) = text.parse::<std::net::SocketAddr>() {
        return Some((socket.ip(), socket.port()));
    }
    Some((text.trim_matches(['[', ']']).parse().ok()?, port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn has(prefix: &str, address: &str) -> bool {
        Prefix::parse(prefix).unwrap().contains(address.parse().unwrap())
    }

    #[test]
    fn parts_of_a_network() {
        assert!(in_network("10.244.1.0/24", "10.244.0.0/16") && in_network("10.244.0.0/16", "10.244.0.0/16"));
        assert!(in_network("10.244.1.7", "10.244.0.0/16"));
        for outside in ["10.0.0.0/8", "10.245.0.0/24", "default", "fd00::/64"] {
            assert!(!in_network(outside, "10.244.0.0/16"), "{outside}");
        }
    }

    #[test]
    fn covers() {
        assert!(has("10.244.0.0/16", "10.244.255.1") && !has("10.244.0.0/16", "10.245.0.0"));
        assert!(has("0.0.0.0/0", "1.2.3.4") && !has("0.0.0.0/0", "::1"));
        assert!(has("10.0.0.0/255.0.0.0", "10.9.9.9") && has("1.2.3.4", "1.2.3.4"));
        assert!(has("fd00::/8", "fd12::1") && has("::/0", "::1") && !has("fd00::1/128", "fd00::2"));
        assert_eq!(Prefix::parse("10.0.0.0/33"), None);
        assert_eq!(Prefix::parse("10.0.0.0/255.0.255.0"), None);
    }

    #[test]
    fn endpoints_both_ways() {
        for text in ["10.244.1.2:80", "[fd00::2]:80"] {
            let (address, port) = parse_endpoint(text, 1).unwrap();
            assert_eq!(endpoint(&address.to_string(), port), text);
        }
        assert_eq!(parse_endpoint("10.0.0.1", 53).unwrap().1, 53);
        assert_eq!(parse_endpoint("x:80", 53), None);
    }

    proptest! {
        #[test]
        fn any_text_is_refused_or_read(text in "[0-9a-f.:/]{0,20}", address in any::<u32>()) {
            if let Some(prefix) = Prefix::parse(&text) {
                let _ = prefix.contains(IpAddr::V4(address.into()));
            }
        }
    }
}
