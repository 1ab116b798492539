# join/token on flannel-ctr: run
begin join-token again
text script <<'LAB_TEXT'
read -r _ _ endpoint _ token _ hash < <(kubeadm token create --ttl 2h --print-join-command)
# A worker that comes before the cluster's address is signed with it looks again only after five seconds.
kubectl -n kube-public wait configmap/cluster-info --for="jsonpath={.data.jws-kubeconfig-${token%%.*}}" --timeout=5m
printf '%s\n' "$endpoint" > "$LAB_OUTPUTS/endpoint"
printf '%s\n' "$token" > "$LAB_OUTPUTS/token"
printf '%s\n' "$hash" > "$LAB_OUTPUTS/ca_hash"
LAB_TEXT
act 300
finish
