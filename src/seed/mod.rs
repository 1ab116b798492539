//! What a node is told at first boot: keys, addresses, hostname. As systemd credentials, the same for every driver.

use crate::lab::model::{Lab, Link, Node};
use serde::{Deserialize, Serialize};

/// What one node is told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Seed {
    pub hostname: String,
    /// The public key that may log in as root, in OpenSSH's form.
    pub authorized_key: String,
    /// The node's own private host key, in OpenSSH's form. Secret.
    pub host_key: String,
    /// The same key's public half.
    pub host_key_public: String,
    /// Names and addresses of all nodes, for /etc/hosts.
    pub hosts: Vec<(String, String)>,
}

/// One systemd credential: a name of at most 28 characters and its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    pub name: &'static str,
    pub content: String,
}

impl Seed {
    /// The hosts entries of a lab: each node by its address on the first host-only network.
    pub fn hosts_of(lab: &Lab) -> Vec<(String, String)> {
        lab.nodes.iter().filter_map(|n| n.address().map(|a| (a.to_string(), n.name.clone()))).collect()
    }

    /// The credentials that systemd in the node reads at boot.
    pub fn credentials(&self, node: &Node) -> Vec<Credential> {
        let mut all = vec![
            Credential { name: "ssh.authorized_keys.root", content: format!("{}\n", self.authorized_key) },
            Credential { name: "system.hostname", content: self.hostname.clone() },
            Credential { name: "tmpfiles.extra", content: self.tmpfiles() },
        ];
        all.extend(node.links.iter().enumerate().filter_map(|(i, link)| {
            let name = *NETWORK_CREDENTIALS.get(i)?;
            Some(Credential { name, content: network_file(link) })
        }));
        all
    }

    /// The same as files, for drivers that own the node's file system: path, mode, content.
    pub fn files(&self, node: &Node) -> Vec<(String, u32, String)> {
        let key = "/etc/ssh/ssh_host_ed25519_key";
        let mut all = vec![
            ("/root/.ssh/authorized_keys".to_owned(), 0o600, format!("{}\n", self.authorized_key)),
            (key.to_owned(), 0o600, self.host_key.clone()),
            (format!("{key}.pub"), 0o644, format!("{}\n", self.host_key_public)),
            ("/etc/hostname".to_owned(), 0o644, format!("{}\n", self.hostname)),
            ("/etc/hosts".to_owned(), 0o644, self.hosts_file()),
        ];
        let networks = node
            .links
            .iter()
            .map(|l| (format!("/etc/systemd/network/50-{}.network", l.device), 0o644, network_file(l)));
        all.extend(networks);
        all
    }

    fn hosts_file(&self) -> String {
        let mut hosts = String::from("127.0.0.1 localhost\n::1 localhost ip6-localhost\n");
        for (address, name) in &self.hosts {
            hosts += &format!("{address} {name}\n");
        }
        hosts
    }

    /// tmpfiles.d lines: host key and hosts file. `^` with base64 (`~`) keeps newlines whole.
    fn tmpfiles(&self) -> String {
        let encode = |text: &str| data_encoding::BASE64.encode(text.as_bytes());
        format!(
            "f~ /etc/ssh/ssh_host_ed25519_key 0600 root root - {}\nf~ /etc/ssh/ssh_host_ed25519_key.pub 0644 root root - {}\nf+~ /etc/hosts 0644 root root - {}\n",
            encode(&self.host_key),
            encode(&format!("{}\n", self.host_key_public)),
            encode(&self.hosts_file())
        )
    }
}

/// Credential names must be constants of at most 28 characters: more links than this are refused by `resolve`.
const NETWORK_CREDENTIALS: [&str; MAX_LINKS] =
    ["network.network.50-eth0", "network.network.50-eth1", "network.network.50-eth2", "network.network.50-eth3"];

/// The most links a node can have.
pub const MAX_LINKS: usize = 4;

/// A systemd.network file. Matched by MAC: a match by name also takes alternative names and hit the wrong device.
fn network_file(link: &Link) -> String {
    let head = format!("[Match]\nMACAddress={}\n\n[Link]\nRequiredForOnline=no\n\n[Network]\n", link.mac);
    // Without router advertisements and link-local IPv6 the links look as in the lesson.
    let quiet = "LinkLocalAddressing=no\nIPv6AcceptRA=no\nLLDP=no\nEmitLLDP=no\n";
    match link.address {
        Some(address) => format!("{head}Address={address}/{}\n{quiet}", link.prefix),
        // Gateway and DNS are written out: with `restrict=on` QEMU's DHCP leaves both away, and a node without a
        // default route cannot even send to a service's address.
        None => format!("{head}Address=10.0.2.15/24\nGateway=10.0.2.2\nDNS=10.0.2.3\n{quiet}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node() -> Node {
        let link = |device: &str, address: Option<&str>, mac: &str| Link {
            device: device.into(),
            network: "x".into(),
            address: address.map(|a| a.parse().unwrap()),
            prefix: 24,
            mac: mac.into(),
        };
        Node {
            name: "n1".into(),
            cpus: 1,
            memory: 1 << 30,
            disk: 1 << 33,
            links: vec![
                link("eth0", None, "52:54:00:00:00:01"),
                link("eth1", Some("192.168.20.100"), "52:54:00:00:01:01"),
            ],
        }
    }

    #[test]
    fn credentials_carry_keys_name_and_addresses() {
        let seed = Seed {
            hostname: "n1".into(),
            authorized_key: "ssh-ed25519 AAAA".into(),
            host_key: "-----BEGIN\nsecret\n".into(),
            host_key_public: "ssh-ed25519 BBBB".into(),
            hosts: vec![("192.168.20.100".into(), "n1".into())],
        };
        let all = seed.credentials(&node());
        assert!(all.iter().all(|c| c.name.len() <= 28), "fw_cfg names are bounded");
        let of = |name: &str| all.iter().find(|c| c.name == name).map(|c| c.content.as_str()).unwrap();
        assert!(of("network.network.50-eth0").contains("Gateway=10.0.2.2\nDNS=10.0.2.3"));
        assert!(of("network.network.50-eth1").contains("MACAddress=52:54:00:00:01:01"));
        assert!(of("network.network.50-eth1").contains("Address=192.168.20.100/24"));
        let tmpfiles = of("tmpfiles.extra");
        assert!(!tmpfiles.contains("secret"), "a newline inside would end the line");
        let hosts = tmpfiles.lines().find(|l| l.contains("/etc/hosts")).unwrap().rsplit(' ').next().unwrap();
        let hosts = String::from_utf8(data_encoding::BASE64.decode(hosts.as_bytes()).unwrap()).unwrap();
        assert!(hosts.ends_with("192.168.20.100 n1\n"));
    }
}
