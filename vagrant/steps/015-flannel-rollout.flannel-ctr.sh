# flannel/rollout on flannel-ctr: wait
begin flannel-rollout
text probe <<'LAB_TEXT'
kubectl -n 'kube-flannel' rollout status 'daemonset/kube-flannel-ds' --timeout="${LAB_DEADLINE}s"
LAB_TEXT
hold probe 5 120 'daemonset/kube-flannel-ds has rolled out'
finish
