# init/runtime/settings on flannel-ctr: run
begin init-runtime-settings
text script <<'LAB_TEXT'
config=/etc/containerd/config.toml
LAB_TEXT
act 300
finish
