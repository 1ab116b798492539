//! Which address was last seen behind which port.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// A port's number; never used twice in one switch.
pub type PortId = u64;

/// An Ethernet address.
pub type Mac = [u8; 6];

/// How long an address that sends nothing is remembered, as in the kernel's bridge.
const AGE: Duration = Duration::from_secs(300);

/// How many addresses one port may claim. Per port, so that a port that invents addresses cannot push out others'.
const PER_PORT: usize = 1024;

struct Entry {
    port: PortId,
    seen: Instant,
}

/// The addresses that a switch has learned.
#[derive(Default)]
pub struct Table {
    entries: HashMap<Mac, Entry>,
    claims: HashMap<PortId, usize>,
}

impl Table {
    /// Notes that `mac` sent something through `port`. A group address is no sender's, and a port that claims too many
    /// is not believed any more: its further addresses are flooded to.
    pub fn learn(&mut self, mac: Mac, port: PortId, now: Instant) {
        if is_group(mac) {
            return;
        }
        if let Some(entry) = self.entries.get_mut(&mac) {
            entry.seen = now;
            if entry.port == port {
                return;
            }
        }
        if self.claims.get(&port).is_some_and(|n| *n >= PER_PORT) {
            return;
        }
        if let Some(old) = self.entries.insert(mac, Entry { port, seen: now }) {
            self.release(old.port);
        }
        *self.claims.entry(port).or_default() += 1;
    }

    /// The port behind which `mac` was last seen, if not too long ago.
    pub fn find(&mut self, mac: Mac, now: Instant) -> Option<PortId> {
        let entry = self.entries.get(&mac)?;
        if now.duration_since(entry.seen) < AGE {
            return Some(entry.port);
        }
        let port = entry.port;
        self.entries.remove(&mac);
        self.release(port);
        None
    }

    /// Forgets addresses not seen for long; called now and then.
    pub fn expire(&mut self, now: Instant) {
        self.keep(|entry| now.duration_since(entry.seen) < AGE);
    }

    /// Forgets all addresses of a port that left.
    pub fn forget(&mut self, port: PortId) {
        self.keep(|entry| entry.port != port);
    }

    fn keep(&mut self, wanted: impl Fn(&Entry) -> bool) {
        self.entries.retain(|_, entry| wanted(entry));
        self.claims.clear();
        for entry in self.entries.values() {
            *self.claims.entry(entry.port).or_default() += 1;
        }
    }

    fn release(&mut self, port: PortId) {
        if let Some(n) = self.claims.get_mut(&port) {
            *n = n.saturating_sub(1);
        }
    }
}

/// Whether an address means several receivers: broadcast or multicast.
pub fn is_group(mac: Mac) -> bool {
    mac[0] & 1 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mac(n: usize) -> Mac {
        let b = u32::try_from(n).unwrap().to_be_bytes();
        [2, 0, b[0], b[1], b[2], b[3]]
    }

    #[test]
    fn learns_moves_ages_and_forgets() {
        let (mut table, now) = (Table::default(), Instant::now());
        table.learn(mac(1), 7, now);
        assert_eq!(table.find(mac(1), now), Some(7));
        table.learn(mac(1), 8, now);
        assert_eq!(table.find(mac(1), now), Some(8), "a node may come back behind another port");
        assert_eq!(table.find(mac(1), now + AGE), None);
        table.learn(mac(2), 8, now);
        table.forget(8);
        assert_eq!(table.find(mac(2), now), None);
        table.learn([255; 6], 8, now);
        assert_eq!(table.find([255; 6], now), None);
    }

    #[test]
    fn one_port_cannot_fill_the_table() {
        let (mut table, now) = (Table::default(), Instant::now());
        (0..10 * PER_PORT).for_each(|n| table.learn(mac(n), 1, now));
        assert_eq!(table.entries.len(), PER_PORT);
        table.learn(mac(1 << 20), 2, now);
        assert_eq!(table.find(mac(1 << 20), now), Some(2));
        table.expire(now + AGE);
        assert!(table.entries.is_empty() && table.claims.is_empty());
        table.learn(mac(5), 1, now + AGE);
        assert_eq!(table.find(mac(5), now + AGE), Some(1), "room again");
    }
}
