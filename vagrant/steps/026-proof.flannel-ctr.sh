# proof on flannel-ctr: run
begin proof
text script <<'LAB_TEXT'
kubectl get nodes -o wide
kubectl get nodes -o wide | grep -E '^flannel-ctr +Ready .* 192.168.20.100 '  > /dev/null
kubectl get nodes -o wide | grep -E '^flannel-w1 +Ready .* 192.168.20.101 '  > /dev/null
kubectl get nodes -o wide | grep -E '^flannel-w2 +Ready .* 192.168.20.102 '  > /dev/null
kubectl get pods -o wide
test "$(kubectl get pods -l app=webpod -o jsonpath='{.items[*].spec.nodeName}' | tr ' ' '\n' | sort -u | wc -l)" = 2
test "$(kubectl get pod curl-pod -o jsonpath='{.spec.nodeName}')" = flannel-ctr
kubectl get services
echo '24 requests to webpod from curl-pod, answered by:'
kubectl exec curl-pod -- sh -c 'for i in $(seq 1 24); do curl -sS --max-time 30 webpod || exit 1; done' > /root/answers
grep '^Hostname:' /root/answers | sort | uniq -c
test "$(grep -c '^Hostname: webpod-' /root/answers)" = 24
test "$(grep '^Hostname:' /root/answers | sort -u | wc -l)" = 2
LAB_TEXT
act 120
finish
