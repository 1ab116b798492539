# Opens connections from a pod's network, whatever programs the pod has: bash's own sockets in its network namespace.
# LAB_SOURCE is the pod's address, empty for the node's own network; LAB_TARGETS holds PROTOCOL/ADDRESS/PORT words;
# LAB_COUNT connections go to each. Prints a line per target: TARGET GOOD BAD.
enter=
if [ -n "$LAB_SOURCE" ]; then
  for namespace in /run/netns/*; do
    [ -e "$namespace" ] || continue
    if nsenter --net="$namespace" ip -o address show 2> /dev/null | grep -qF " $LAB_SOURCE/"; then
      enter="nsenter --net=$namespace"
      break
    fi
  done
  if [ -z "$enter" ]; then
    echo "no network namespace of the node has the address $LAB_SOURCE" >&2
    exit 3
  fi
fi
for target in $LAB_TARGETS; do
  good=0
  bad=0
  for _ in $(seq "$LAB_COUNT"); do
    # A datagram needs a byte to be one; a connection only to be opened. stderr: bash tells of every refusal.
    if $enter timeout 10 bash -c 'exec 3<> "/dev/$0" || exit 1; case $0 in udp/*) printf . >&3 ;; esac' "$target" 2> /dev/null; then
      good=$((good + 1))
    else
      bad=$((bad + 1))
    fi
  done
  echo "$target $good $bad"
done
