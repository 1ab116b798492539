# flannel got the network that it was told, on flannel-w1: run
script 60 <<'LAB_TEXT'
grep -E '^FLANNEL_(NETWORK|SUBNET|MTU)=' /run/flannel/subnet.env
grep -qFx 'FLANNEL_NETWORK=10.244.0.0/16' /run/flannel/subnet.env
LAB_TEXT
