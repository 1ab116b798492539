#!/usr/bin/env bash
# The image `plain` on a Debian box: what one needs to look at a network.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive
apt-get update --quiet
apt-get install --yes --quiet iproute2 iptables iputils-ping procps curl tcpdump jq
