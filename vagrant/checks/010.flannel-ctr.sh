# curl-pod asks webpod by its name, and both replicas answer, on flannel-ctr: run
script 120 <<'LAB_TEXT'
test "$(kubectl get pod curl-pod -o jsonpath='{.spec.nodeName}')" = flannel-ctr
answers=$(kubectl exec curl-pod -- sh -c 'for i in $(seq 1 24); do curl -sS --max-time 30 webpod || exit 1; done')
echo '24 requests, answered by:'
grep '^Hostname:' <<< "$answers" | sort | uniq -c
test "$(grep -c '^Hostname: webpod-' <<< "$answers")" = 24
test "$(grep '^Hostname:' <<< "$answers" | sort -u | wc -l)" = 2
LAB_TEXT
