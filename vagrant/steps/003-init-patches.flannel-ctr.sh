# init/patches on flannel-ctr: run
begin init-patches
text script <<'LAB_TEXT'
mkdir -p /etc/kubernetes/patches
rm -f /etc/kubernetes/patches/*
LAB_TEXT
act 300
finish
