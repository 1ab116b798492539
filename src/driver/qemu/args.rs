//! QEMU's command line, known here alone.

use super::accel::Accelerator;
use super::host::Version;
use crate::driver::{NodeSpec, Place, console_log};
use crate::error::{Error, Result};
use crate::lab::model::Link;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// `net.ifnames=0` names the devices eth0, eth1 in their order on the bus; mitigations cost much under emulation and
/// protect nothing in a throw-away node. The console stays talkative: it is what a dead node leaves behind.
const KERNEL: &str = "root=/dev/vda rw console=ttyS0 net.ifnames=0 mitigations=off";

/// From here on a lost switch is looked for again in milliseconds, before in seconds.
const RECONNECT_MS: Version = Version(9, 2, 0);

/// Slots on the bus: fixed, so that the devices' order never depends on what else there is.
const DISK_SLOT: usize = 0x2;
const RANDOM_SLOT: usize = 0x3;
const FIRST_NETWORK_SLOT: usize = 0x8;

/// The node's overlay.
pub fn disk(place: &Place) -> PathBuf {
    place.dir.join("disk.qcow2")
}

/// Where the files of the node's credentials are.
pub fn credentials(place: &Place) -> PathBuf {
    place.dir.join("credentials")
}

/// An argument that only this node's QEMU has, by which it can be recognised.
pub fn mark(place: &Place) -> OsString {
    with_path("file,id=console,path=", &console_log(place))
}

/// All arguments. QMP listens on the socket that is QEMU's standard input.
pub fn arguments(spec: &NodeSpec, accelerator: Accelerator, version: Version) -> Result<Vec<OsString>> {
    let (accel, cpu) = accelerator.options();
    let (node, place) = (&spec.node, &spec.place);
    let mut args = Arguments::default();
    args.add("-name", format!("{}/{}", place.lab, place.node).replace(',', ",,"));
    args.add("-machine", "q35").add("-accel", accel).add("-cpu", cpu);
    args.add("-smp", node.cpus.to_string()).add("-m", format!("{}M", node.memory >> 20));
    args.flag("-nodefaults").flag("-no-user-config").add("-display", "none");
    args.add("-kernel", spec.image.dir.join("vmlinuz")).add("-initrd", spec.image.dir.join("initrd.img"));
    args.add("-append", KERNEL);
    // What the node writes need not survive the host's crash: it is thrown away then.
    args.add("-drive", with_path("if=none,id=disk,format=qcow2,cache=unsafe,discard=unmap,file=", &disk(place)));
    args.add("-device", format!("virtio-blk-pci,drive=disk,addr={DISK_SLOT:#x}"));
    args.add("-device", format!("virtio-rng-pci,addr={RANDOM_SLOT:#x}"));
    for credential in spec.seed.credentials(node) {
        let head = format!("name=opt/io.systemd.credentials/{},file=", credential.name);
        args.add("-fw_cfg", with_path(&head, &credentials(place).join(credential.name)));
    }
    let mut ssh = false;
    for (i, link) in node.links.iter().enumerate() {
        args.add("-netdev", netdev(spec, link, version, &mut ssh)?);
        let slot = FIRST_NETWORK_SLOT + i;
        let device = format!("virtio-net-pci,netdev={},mac={},romfile=,addr={slot:#x}", link.device, link.mac);
        args.add("-device", device);
    }
    if !ssh {
        let why = "it has no link to a nat network, and SSH comes in by that";
        return Err(Error::input("start the node", why).on(&node.name).hint("give it a network of kind `nat`"));
    }
    args.add("-chardev", mark(place)).add("-serial", "chardev:console");
    args.add("-chardev", "socket,id=qmp,fd=0,server=on,wait=off").add("-mon", "chardev=qmp,mode=control");
    Ok(args.0)
}

/// The host's side of a link. The first NAT link takes SSH in, by a port that QEMU chooses: no race for a free one.
fn netdev(spec: &NodeSpec, link: &Link, version: Version, ssh: &mut bool) -> Result<OsString> {
    let id = &link.device;
    if link.address.is_none() {
        let forward = if std::mem::replace(ssh, true) { "" } else { ",hostfwd=tcp:127.0.0.1:0-:22" };
        let restrict = if spec.offline { ",restrict=on" } else { "" };
        return Ok(format!("user,id={id}{forward}{restrict}").into());
    }
    let socket = spec.ports.iter().find(|(network, _)| *network == link.network).map(|(_, socket)| socket);
    let socket = socket.ok_or_else(|| {
        Error::failed("start the node", format!("no switch serves its network {}", link.network)).on(&spec.node.name)
    })?;
    let reconnect = if version >= RECONNECT_MS { "reconnect-ms=500" } else { "reconnect=1" };
    Ok(with_path(&format!("stream,id={id},server=off,{reconnect},addr.type=unix,addr.path="), socket))
}

/// An option list that ends in a path, whose commas would otherwise end it.
fn with_path(head: &str, path: &Path) -> OsString {
    let mut bytes = head.as_bytes().to_vec();
    for &byte in path.as_os_str().as_bytes() {
        bytes.push(byte);
        if byte == b',' {
            bytes.push(byte);
        }
    }
    OsString::from_vec(bytes)
}

#[derive(Default)]
struct Arguments(Vec<OsString>);

impl Arguments {
    fn flag(&mut self, name: &str) -> &mut Self {
        self.0.push(name.into());
        self
    }

    fn add(&mut self, name: &str, value: impl AsRef<OsStr>) -> &mut Self {
        self.0.push(name.into());
        self.0.push(value.as_ref().to_owned());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::BaseImage;
    use crate::lab::model::Node;
    use crate::seed::Seed;

    fn link(device: &str, network: &str, address: Option<&str>, mac: &str) -> Link {
        let address = address.map(|a| a.parse().unwrap());
        Link { device: device.into(), network: network.into(), address, prefix: 24, mac: mac.into() }
    }

    fn spec() -> NodeSpec {
        NodeSpec {
            lab: "l".into(),
            node: Node {
                name: "n1".into(),
                cpus: 2,
                memory: 3 << 30,
                disk: 1 << 33,
                links: vec![
                    link("eth0", "nat", None, "52:54:00:00:00:01"),
                    link("eth1", "lan", Some("192.168.20.100"), "52:54:00:00:01:01"),
                ],
            },
            place: Place { lab: "l".into(), node: "n1".into(), dir: "/s/a,b/n1".into(), run: "/r".into() },
            image: BaseImage { key: "k".into(), dir: "/i".into() },
            seed: Seed {
                hostname: "n1".into(),
                authorized_key: "ssh-ed25519 AAAA".into(),
                host_key: "very secret".into(),
                host_key_public: "ssh-ed25519 BBBB".into(),
                hosts: vec![],
            },
            offline: false,
            ports: vec![("lan".into(), "/r/net-lan.sock".into())],
        }
    }

    fn line(spec: &NodeSpec, version: Version) -> String {
        let args = arguments(spec, Accelerator::Tcg, version).unwrap();
        args.iter().map(|a| a.to_str().unwrap()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn links_come_in_device_order_with_their_addresses() {
        let line = line(&spec(), Version(10, 0, 2));
        let at = |what: &str| line.find(what).unwrap_or_else(|| panic!("{what} is missing in {line}"));
        assert!(at("user,id=eth0,hostfwd=tcp:127.0.0.1:0-:22 ") < at("netdev=eth0,mac=52:54:00:00:00:01"));
        assert!(at("netdev=eth0") < at("reconnect-ms=500,addr.type=unix,addr.path=/r/net-lan.sock"));
        at("netdev=eth1,mac=52:54:00:00:01:01,romfile=,addr=0x9");
        at("-smp 2 -m 3072M");
    }

    #[test]
    fn secrets_stay_in_files_and_commas_in_paths() {
        let line = line(&spec(), Version(10, 0, 2));
        assert!(!line.contains("secret") && !line.contains("ssh-ed25519"));
        assert!(
            line.contains("name=opt/io.systemd.credentials/tmpfiles.extra,file=/s/a,,b/n1/credentials/tmpfiles.extra")
        );
        assert!(line.contains(mark(&spec().place).to_str().unwrap()));
    }

    #[test]
    fn offline_old_and_incomplete() {
        let mut spec = spec();
        spec.offline = true;
        let old = line(&spec, Version(8, 2, 0));
        assert!(old.contains("hostfwd=tcp:127.0.0.1:0-:22,restrict=on") && old.contains("reconnect=1,"));
        spec.ports.clear();
        assert!(arguments(&spec, Accelerator::Kvm, Version(8, 2, 0)).unwrap_err().why.contains("lan"));
        spec.node.links.clear();
        assert_eq!(arguments(&spec, Accelerator::Kvm, Version(8, 2, 0)).unwrap_err().exit_code(), 2);
    }
}
