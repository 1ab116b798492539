# join/join on flannel-w2: run
begin join-join
text unless <<'LAB_TEXT'
test -e /etc/kubernetes/kubelet.conf && curl -sf --max-time 30 http://127.0.0.1:10248/healthz
LAB_TEXT
text undo <<'LAB_TEXT'
kubeadm reset -f --cri-socket unix:///run/containerd/containerd.sock
LAB_TEXT
text script <<'LAB_TEXT'
systemctl enable kubelet 2>/dev/null
kubeadm join --config /etc/kubernetes/lab/join.yaml 
# The token has served.
rm /etc/kubernetes/lab/join.yaml
LAB_TEXT
act 180
finish
