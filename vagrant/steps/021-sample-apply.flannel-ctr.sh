# sample/apply on flannel-ctr: run
begin sample-apply
text script <<'LAB_TEXT'
kubectl apply -f /root/webpod.yaml -f /root/curl-pod.yaml
LAB_TEXT
act 300
finish
