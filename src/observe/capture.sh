# What lab observes of a node's network. Read-only; runs as root in one exec, in any POSIX sh.
# Each section: a begin line, the command's output, its errors, an end line with its exit status.
# LAB_CLUSTER is the cluster's kubeconfig on the node that has one; LAB_CONNTRACK asks for tracked connections.
LC_ALL=C
PATH="$PATH:/usr/sbin:/sbin:/usr/local/sbin"
export LC_ALL PATH

mark='@@lab-observe-b3f1c6d07a92@@'

section() {
  name=$1
  shift
  printf '%s begin %s\n' "$mark" "$name"
  # Output goes through as it comes; errors are held back, so that they do not spoil JSON.
  { errors=$("$@" 2>&1 1>&3 3>&-); status=$?; } 3>&1
  printf '\n'
  if [ -n "$errors" ]; then
    printf '%s\n' "$errors" | while IFS= read -r line; do printf '%s error %s\n' "$mark" "$line"; done
  fi
  printf '%s end %s %s\n' "$mark" "$name" "$status"
}

settings() {
  for key in \
    net.ipv4.ip_forward net.ipv6.conf.all.forwarding \
    net.bridge.bridge-nf-call-iptables net.bridge.bridge-nf-call-ip6tables \
    net.ipv4.conf.all.rp_filter net.ipv4.conf.default.rp_filter net.ipv4.conf.all.route_localnet \
    net.netfilter.nf_conntrack_max
  do
    file=/proc/sys/$(printf '%s' "$key" | tr . /)
    [ -r "$file" ] && printf '%s = %s\n' "$key" "$(cat "$file")"
  done
  # Links of pods come and go; the lesson's links are asked by name.
  for link in eth0 eth1 cni0 flannel.1; do
    file=/proc/sys/net/ipv4/conf/$link/rp_filter
    [ -r "$file" ] && printf 'net.ipv4.conf.%s.rp_filter = %s\n' "$(printf '%s' "$link" | tr . /)" "$(cat "$file")"
  done
  return 0
}

section hostname uname -n
section links ip -j -d link
section addresses ip -j addr
section policy ip -j rule
section routes ip -j -4 route show table all
section routes6 ip -j -6 route show table all
section neighbours ip -j neigh
section fdb bridge -j fdb
section rules iptables-save -c
section rules6 ip6tables-save -c
section sysctls settings
section nft nft list tables
section ipvs cat /proc/net/ip_vs
for file in /run/flannel/subnet.env /etc/cni/net.d/*.conflist /etc/cni/net.d/*.conf; do
  [ -e "$file" ] && section "file:$file" cat "$file"
done
section 'text:ip link' ip link
section 'text:ip addr' ip addr
section 'text:ip route' ip route
section 'text:ip neigh' ip neigh
section 'text:bridge fdb' bridge fdb
section 'text:iptables -t nat -S' iptables -t nat -S
section 'text:uname -r' uname -r
section 'text:iptables --version' iptables --version
for program in kubelet containerd; do
  command -v "$program" > /dev/null && section "text:$program --version" "$program" --version
done
[ -n "${LAB_CONNTRACK:-}" ] && section conntrack conntrack -L -o extended
[ -n "${LAB_CLUSTER:-}" ] && section cluster env KUBECONFIG="$LAB_CLUSTER" \
  kubectl get pods,services,endpointslices,nodes -A -o json --request-timeout=30s
printf '%s done\n' "$mark"
