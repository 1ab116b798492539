# prepare/repo on flannel-ctr: run
begin prepare-repo
text script <<'LAB_TEXT'
helm repo add flannel https://flannel-io.github.io/flannel/
helm repo list
helm search repo flannel
helm show values flannel/flannel
LAB_TEXT
act 300
finish
