# join/config on flannel-w1: upload
begin join-config
text content <<'LAB_TEXT'
apiVersion: kubeadm.k8s.io/v1beta4
kind: JoinConfiguration
discovery:
  bootstrapToken:
    apiServerEndpoint: @{join-token.endpoint}
    # Quoted: a token of digits would be read as a number and cut.
    token: "@{join-token.token}"
    caCertHashes: ["@{join-token.ca_hash}"]
nodeRegistration:
  name: flannel-w1
  criSocket: unix:///run/containerd/containerd.sock
  imagePullPolicy: IfNotPresent
  kubeletExtraArgs:
  - {name: node-ip, value: "192.168.20.101"}
LAB_TEXT
put '/etc/kubernetes/lab/join.yaml' 0600 'root:root'
finish
