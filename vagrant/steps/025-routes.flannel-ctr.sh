# routes on flannel-ctr: check
begin routes
text probe <<'LAB_TEXT'
ip link show flannel.1 | grep -o 'flannel.1:.*mtu 1450'
. /run/flannel/subnet.env
test "$FLANNEL_NETWORK" = 10.244.0.0/16
ip route | grep -E '^([0-9.]+)\.0/24 via \1\.0 dev flannel\.1 onlink' | tee /run/lab-peers
test "$(wc -l < /run/lab-peers)" = 2
iptables -t nat -S | grep -e '-N FLANNEL-POSTRTG' -e '-N KUBE-SVC-CNZCPOCNCNOROALA'
test "$(iptables -t nat -S | grep -c -e '-N FLANNEL-POSTRTG' -e '-N KUBE-SVC-CNZCPOCNCNOROALA')" = 2
LAB_TEXT
hold probe 2 30 'flannel.1 is there, with a route over it to every other node'
finish
