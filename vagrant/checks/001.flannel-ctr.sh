# the nodes are Ready, by their addresses on the lan, on flannel-ctr: run
script 60 <<'LAB_TEXT'
kubectl get nodes -o wide
kubectl get nodes -o wide | grep -E '^flannel-ctr +Ready .* 192.168.20.100 ' > /dev/null
kubectl get nodes -o wide | grep -E '^flannel-w1 +Ready .* 192.168.20.101 ' > /dev/null
kubectl get nodes -o wide | grep -E '^flannel-w2 +Ready .* 192.168.20.102 ' > /dev/null
LAB_TEXT
