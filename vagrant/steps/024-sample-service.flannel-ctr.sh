# sample/service on flannel-ctr: wait
begin sample-service
text probe <<'LAB_TEXT'
kubectl exec 'curl-pod' -- curl -sS --max-time 20 'webpod'
LAB_TEXT
hold probe 2 60 'webpod answers by its DNS name'
finish
