# init/init on flannel-ctr: run
begin init-init
text unless <<'LAB_TEXT'
test -e /etc/kubernetes/lab/initialized && curl -sf --max-time 60 --cacert /etc/kubernetes/pki/ca.crt https://192.168.20.100:6443/readyz
LAB_TEXT
text undo <<'LAB_TEXT'
kubeadm reset -f --cri-socket unix:///run/containerd/containerd.sock && rm -f /etc/kubernetes/lab/initialized
LAB_TEXT
text script <<'LAB_TEXT'
systemctl enable kubelet 2>/dev/null
kubeadm init --config /etc/kubernetes/lab/init.yaml  --skip-token-print
touch /etc/kubernetes/lab/initialized
LAB_TEXT
act 300
text check <<'LAB_TEXT'
curl -sSf --max-time 60 --cacert /etc/kubernetes/pki/ca.crt https://192.168.20.100:6443/readyz
LAB_TEXT
hold check 2 60 'the API server answers'
finish
