# sample/pods on flannel-ctr: wait
begin sample-pods
text probe <<'LAB_TEXT'
kubectl -n 'default' rollout status 'deployment/webpod' --timeout="${LAB_DEADLINE}s"
LAB_TEXT
hold probe 5 120 'deployment/webpod has rolled out'
finish
