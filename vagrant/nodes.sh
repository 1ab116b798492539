#!/usr/bin/env bash
# The names of all nodes; and the links that the lab's steps name must be there.
set -euo pipefail
sed -i '/^127\..*[[:space:]]flannel-ctr\b/d' /etc/hosts
grep -qxF '192.168.20.100 flannel-ctr' /etc/hosts || echo '192.168.20.100 flannel-ctr' >> /etc/hosts
sed -i '/^127\..*[[:space:]]flannel-w1\b/d' /etc/hosts
grep -qxF '192.168.20.101 flannel-w1' /etc/hosts || echo '192.168.20.101 flannel-w1' >> /etc/hosts
sed -i '/^127\..*[[:space:]]flannel-w2\b/d' /etc/hosts
grep -qxF '192.168.20.102 flannel-w2' /etc/hosts || echo '192.168.20.102 flannel-w2' >> /etc/hosts
[ -e /sys/class/net/eth0 ] || { echo 'no link eth0: choose a box that names its links eth0, eth1 (LAB_BOX=...)' >&2; exit 1; }
[ -e /sys/class/net/eth1 ] || { echo 'no link eth1: choose a box that names its links eth0, eth1 (LAB_BOX=...)' >&2; exit 1; }
