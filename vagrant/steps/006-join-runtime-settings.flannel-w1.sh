# join/runtime/settings on flannel-w1: run
begin join-runtime-settings
text script <<'LAB_TEXT'
config=/etc/containerd/config.toml
LAB_TEXT
act 300
finish
