# flannel/install on flannel-ctr: run
begin flannel-install
text undo <<'LAB_TEXT'
helm uninstall flannel --namespace kube-flannel --ignore-not-found --wait
LAB_TEXT
text script <<'LAB_TEXT'
cd /root
helm install flannel --namespace kube-flannel flannel/flannel -f flannel-values.yaml
helm list -A
LAB_TEXT
act 120
finish
