# nodes-ready on flannel-ctr: wait
begin nodes-ready
text probe <<'LAB_TEXT'
kubectl wait node --all --for=condition=Ready --timeout="${LAB_DEADLINE}s"
test "$(kubectl get nodes -o name | wc -l)" = 3
LAB_TEXT
hold probe 5 120 'all nodes are Ready'
finish
