# sample/curl on flannel-ctr: wait
begin sample-curl
text probe <<'LAB_TEXT'
kubectl wait pod/curl-pod --for=condition=Ready --timeout="${LAB_DEADLINE}s"
LAB_TEXT
hold probe 5 120 'pod/curl-pod is Ready'
finish
