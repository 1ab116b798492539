# coredns on flannel-ctr: wait
begin coredns
text probe <<'LAB_TEXT'
kubectl -n 'kube-system' rollout status 'deployment/coredns' --timeout="${LAB_DEADLINE}s"
LAB_TEXT
hold probe 5 120 'deployment/coredns has rolled out'
finish
