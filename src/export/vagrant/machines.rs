//! The Vagrantfile: nodes and networks of the lab, for VirtualBox and libvirt.

use crate::lab::model::{Lab, NetworkKind};
use std::fmt::Write;

const BODY: &str = r#"
Vagrant.configure("2") do |config|
  # Any Debian box that names its links eth0, eth1.
  config.vm.box = ENV.fetch("LAB_BOX", "bento/debian-13")
  config.vm.synced_folder ".", "/vagrant", disabled: true

  NODES.each do |name, node|
    config.vm.define name do |machine|
      machine.vm.hostname = name
      node[:networks].each do |network|
        machine.vm.network "private_network", ip: network[:ip], netmask: network[:netmask]
      end
      machine.vm.provider "virtualbox" do |virtualbox|
        virtualbox.name = "@LAB@-#{name}"
        virtualbox.cpus = node[:cpus]
        virtualbox.memory = node[:memory]
        virtualbox.linked_clone = true
      end
      machine.vm.provider "libvirt" do |libvirt|
        libvirt.cpus = node[:cpus]
        libvirt.memory = node[:memory]
      end
      machine.vm.provision "nodes", type: "shell", path: "nodes.sh"
      machine.vm.provision "image", type: "shell", path: "image.sh"
    end
  end
end
"#;

/// The Vagrantfile.
pub(super) fn vagrantfile(lab: &Lab) -> String {
    let mut out = format!(
        "# -*- mode: ruby -*-\n# The lab {}: {}\n# Written by `lab export vagrant`. After `vagrant up`, `./run` does the \
         lab's steps.\nNODES = {{\n",
        lab.name, lab.title
    );
    for node in &lab.nodes {
        let networks = node.links.iter().filter_map(|link| {
            let netmask = netmask(link.prefix);
            link.address.map(|ip| format!("{{ ip: \"{ip}\", netmask: \"{netmask}\" }}"))
        });
        let networks = networks.collect::<Vec<_>>().join(", ");
        let (name, cpus, memory) = (&node.name, node.cpus, node.memory >> 20);
        let _ = writeln!(out, "  \"{name}\" => {{ cpus: {cpus}, memory: {memory}, networks: [{networks}] }},");
    }
    out += "}.freeze\n";
    out + &BODY.replace("@LAB@", &lab.name)
}

fn netmask(prefix: u8) -> std::net::Ipv4Addr {
    u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0).into()
}

/// What every box is told of the others.
pub(super) fn nodes(lab: &Lab) -> String {
    let mut out = String::from(
        "#!/usr/bin/env bash\n# The names of all nodes; and the links that the lab's steps name must be there.\nset -euo pipefail\n",
    );
    for node in &lab.nodes {
        if let Some(address) = node.address() {
            let (name, line) = (&node.name, format!("{address} {}", node.name));
            // A box resolves its own name to a loopback address.
            let _ = writeln!(out, "sed -i '/^127\\..*[[:space:]]{name}\\b/d' /etc/hosts");
            let _ = writeln!(out, "grep -qxF '{line}' /etc/hosts || echo '{line}' >> /etc/hosts");
        }
    }
    let links = lab.nodes.iter().map(|n| n.links.len()).min().unwrap_or(0);
    for number in 0..links {
        let _ = writeln!(
            out,
            "[ -e /sys/class/net/eth{number} ] || {{ echo 'no link eth{number}: choose a box that names its links eth0, \
             eth1 (LAB_BOX=...)' >&2; exit 1; }}"
        );
    }
    out
}

/// How to use the export.
pub(super) fn readme(lab: &Lab) -> String {
    let subnets: Vec<String> = lab
        .networks
        .iter()
        .filter_map(|n| match n.kind {
            NetworkKind::HostOnly { subnet } => Some(subnet.to_string()),
            NetworkKind::Nat => None,
        })
        .collect();
    let subnets = subnets.join(" ");
    format!(
        "# {title}\n\nThe lab `{name}` for Vagrant, written by `lab export vagrant {name}`.\n\n    vagrant up            # \
         --provider=libvirt where that is meant\n    ./run                 # the lab's steps; again to go on\n    vagrant \
         destroy -f\n\n`vagrant up` makes the nodes and installs what the image has; it needs the internet. `./run` does the steps of\n\
         the lab one after another, the same scripts that `lab` runs. Observations are kept in\n`observations/`. At its end it holds the lab's checks, each as a script: what does not hold is shown with what it\nprinted, and the exit code is 1.\n\nVirtualBox \
         refuses host-only addresses outside 192.168.56.0/21 until /etc/vbox/networks.conf allows them:\n\n    * {subnets}\n\n\
         `LAB_BOX` names another box: a Debian whose links are called eth0, eth1.\n",
        title = lab.title,
        name = lab.name,
    )
}
