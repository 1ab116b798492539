#!/usr/bin/env bash
# The image `kubernetes` on a Debian box. The programs come from their projects' own releases, with their checksums.
set -euo pipefail
kubernetes=v1.34.4
helm=v3.22.0
cni_plugins=v1.9.1
coredns=v1.14.7
etcd=v3.6.16
case $(uname -m) in
  x86_64) arch=amd64 ;;
  aarch64) arch=arm64 ;;
  *) echo "no releases for $(uname -m)" >&2; exit 1 ;;
esac
export DEBIAN_FRONTEND=noninteractive
apt-get update --quiet
apt-get install --yes --quiet ca-certificates containerd runc iproute2 iptables nftables conntrack ipset ethtool socat \
  iputils-ping procps curl tcpdump jq bridge-utils bash-completion

# fetch URL SUM FILE: SUM is where the project keeps the checksum.
fetch() {
  local sum
  curl --fail --silent --show-error --location --retry 3 --output "$3" "$1"
  sum=$(curl --fail --silent --show-error --location --retry 3 "$2")
  echo "${sum%% *}  $3" | sha256sum --check --quiet
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for name in kubeadm kubelet kubectl; do
  url=https://dl.k8s.io/release/$kubernetes/bin/linux/$arch/$name
  fetch "$url" "$url.sha256" "$work/$name"
  install -m 0755 "$work/$name" "/usr/local/bin/$name"
done
url=https://get.helm.sh/helm-$helm-linux-$arch.tar.gz
fetch "$url" "$url.sha256sum" "$work/helm.tar.gz"
tar -xzf "$work/helm.tar.gz" -C "$work" "linux-$arch/helm"
install -m 0755 "$work/linux-$arch/helm" /usr/local/bin/helm
url=https://github.com/containernetworking/plugins/releases/download/$cni_plugins/cni-plugins-linux-$arch-$cni_plugins.tgz
fetch "$url" "$url.sha256" "$work/cni.tgz"
mkdir -p /opt/cni/bin
tar -xzf "$work/cni.tgz" -C /opt/cni/bin

# lab: file /etc/modules-load.d/lab.conf
# lab: file /etc/sysctl.d/90-lab.conf
# lab: file /etc/containerd/config.toml
# lab: file /etc/systemd/system/containerd.service.d/10-lab.conf
# lab: file /etc/systemd/system/kubelet.service
# lab: file /etc/systemd/system/kubelet.service.d/10-kubeadm.conf
# lab: file /etc/environment

# The kubelet does not start beside swap.
swapoff --all
sed -i '/\sswap\s/d' /etc/fstab
modprobe --all overlay br_netfilter vxlan
sysctl --quiet --system
systemctl daemon-reload
systemctl restart containerd

# The lab names these two by the versions of its bundle; their projects publish them under names of their own.
ctr -n k8s.io images pull "docker.io/coredns/coredns:${coredns#v}" > /dev/null
ctr -n k8s.io images tag --force "docker.io/coredns/coredns:${coredns#v}" "registry.k8s.io/coredns/coredns:$coredns"
ctr -n k8s.io images pull "quay.io/coreos/etcd:$etcd" > /dev/null
ctr -n k8s.io images tag --force "quay.io/coreos/etcd:$etcd" "registry.k8s.io/etcd:${etcd#v}-0"
