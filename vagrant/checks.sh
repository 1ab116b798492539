# What every check of the lab uses on its node; `run` sends it before the check.
set -euo pipefail
export HOME=/root
root=${LAB_NODE_ROOT:-}
[ ! -r "$root/etc/environment" ] || { set -a; . "$root/etc/environment"; set +a; }

# expect WHAT FOUND WANTED: the same words.
expect() { [ "$2" = "$3" ] || { echo "$1: $2, expected $3"; return 1; }; }
# least WHAT FOUND WANTED: a number that is not too small.
least() { [ "$2" -ge "$3" ] || { echo "$1: $2, expected at least $3"; return 1; }; }

# link NAME KIND MTU: empty words are not looked at.
link() {
  ip -brief link show dev "$1"
  [ -z "$2" ] || expect "links named $1 of kind $2" "$(ip -o link show dev "$1" type "$2" | wc -l)" 1
  [ -z "$3" ] || expect "mtu of $1" "$(cat "/sys/class/net/$1/mtu")" "$3"
}
# route COUNT WORDS...: routes that `ip route` finds by these words; without a COUNT at least one.
route() {
  local count=$1 found
  shift
  found=$(ip route show table all "$@" | grep -v -e ' table local' -e '^broadcast' || true)
  printf '%s\n' "$found"
  if [ -n "$count" ]; then
    expect 'such routes' "$(grep -c . <<< "$found" || true)" "$count"
  else
    least 'such routes' "$(grep -c . <<< "$found" || true)" 1
  fi
}
# chain TABLE NAME
chain() { iptables -t "$1" -S "$2" > /dev/null; }
# pods NAMESPACE LABELS READY NODES NODE: Ready ones, on so many nodes; all on NODE where it is named.
pods() {
  local form='{range .items[*]}{.status.conditions[?(@.type=="Ready")].status}{" "}{.spec.nodeName}{"\n"}{end}' on
  kubectl -n "$1" get pods -l "$2" -o wide
  on=$(kubectl -n "$1" get pods -l "$2" -o jsonpath="$form" | sed -n 's/^True //p')
  least 'pods that are Ready' "$(grep -c . <<< "$on" || true)" "$3"
  least 'nodes that they are on' "$(sort -u <<< "$on" | grep -c . || true)" "$4"
  [ -z "$5" ] || expect 'nodes that they are on' "$(sort -u <<< "$on" | xargs)" "$5"
}
# counted ENDPOINT: connections that this node's rules have sent there.
counted() {
  iptables-save -c -t nat | awk -v end="$1" '
    index($0 " ", "--to-destination " end " ") { split(substr($1, 2), of, ":"); sum += of[1] } END { print sum + 0 }'
}
# service NAMESPACE NAME REQUESTS: so many connections to each of its ports open, and every ready endpoint gets some.
service() {
  local address ports slices ends port end before=() number
  address=$(kubectl -n "$1" get service "$2" -o jsonpath='{.spec.clusterIP}')
  ports=$(kubectl -n "$1" get service "$2" -o jsonpath='{range .spec.ports[?(@.protocol=="TCP")]}{.port}{"\n"}{end}')
  slices='{range .items[*]}{range .ports[?(@.protocol=="TCP")]}{"port "}{.port}{"\n"}{end}'
  slices+='{range .endpoints[?(@.conditions.ready==true)]}{"end "}{.addresses[0]}{"\n"}{end}{end}'
  ends=$(kubectl -n "$1" get endpointslices -l "kubernetes.io/service-name=$2" -o jsonpath="$slices" |
    awk '$1 == "port" { if (seen) { n = 0; seen = 0 } ports[n++] = $2 } $1 == "end" { seen = 1; for (i = 0; i < n; i++) print $2 ":" ports[i] }')
  least 'ready endpoints' "$(grep -c . <<< "$ends" || true)" 1
  for end in $ends; do before+=("$(counted "$end")"); done
  for port in $ports; do
    for ((number = 0; number < $3; number++)); do
      timeout 10 bash -c ': < "/dev/tcp/$0/$1"' "$address" "$port" || { echo "$address:$port does not answer"; return 1; }
    done
  done
  number=0
  for end in $ends; do
    least "connections to $end" "$(($(counted "$end") - before[number]))" 1
    number=$((number + 1))
  done
}
# script SECONDS: what comes by the input, once, as a script of its own.
script() {
  local file
  file=$(mktemp)
  trap "rm -f '$file'" EXIT
  cat > "$file"
  (cd "${root:-/root}" && timeout "$1" bash -euo pipefail "$file" < /dev/null)
}
