# prepare/namespace on flannel-ctr: run
begin prepare-namespace
text undo <<'LAB_TEXT'
kubectl delete ns kube-flannel --ignore-not-found
LAB_TEXT
text script <<'LAB_TEXT'
kubectl create ns kube-flannel
kubectl label --overwrite ns kube-flannel pod-security.kubernetes.io/enforce=privileged
LAB_TEXT
act 300
finish
