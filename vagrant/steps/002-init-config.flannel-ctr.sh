# init/config on flannel-ctr: upload
begin init-config
text content <<'LAB_TEXT'
apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
# The first token lives for a minute and is printed nowhere; each join mints its own.
bootstrapTokens:
- ttl: 1m0s
  usages: [signing, authentication]
  groups: ["system:bootstrappers:kubeadm:default-node-token"]
localAPIEndpoint:
  # Not eth0: there every node is 10.0.2.15.
  advertiseAddress: 192.168.20.100
nodeRegistration:
  name: flannel-ctr
  criSocket: unix:///run/containerd/containerd.sock
  imagePullPolicy: IfNotPresent
  kubeletExtraArgs:
  - {name: node-ip, value: "192.168.20.100"}
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
kubernetesVersion: v1.34.4
controlPlaneEndpoint: 192.168.20.100:6443
# A tenth of the time of RSA to make, and cheaper in every handshake.
encryptionAlgorithm: ECDSA-P256
networking:
  podSubnet: 10.244.0.0/16
  serviceSubnet: 10.96.0.0/16
dns:
  imageTag: v1.14.7
apiServer:
  # So that a client on the host can use a forward.
  certSANs: [127.0.0.1]
etcd:
  local:
    imageTag: 3.6.16-0
# There is one of each: nobody to elect. Looking for a lease that is not there yet costs seconds at each start, and where
# processors are emulated they would lose it, and restart, for ever.
controllerManager:
  extraArgs:
  - {name: leader-elect, value: "false"}
  # Each of its forty controllers asks the API as it starts; at the usual pace the last one waits three seconds for its turn.
  - {name: kube-api-qps, value: "100"}
  - {name: kube-api-burst, value: "200"}
scheduler:
  extraArgs:
  - {name: leader-elect, value: "false"}
---
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
cgroupDriver: systemd
# A lab's disk is small and thrown away: nothing is collected or evicted for it.
imageGCHighThresholdPercent: 100
evictionHard: {imagefs.available: "0%", nodefs.available: "0%", nodefs.inodesFree: "0%"}
---
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: iptables
LAB_TEXT
put '/etc/kubernetes/lab/init.yaml' 0600 'root:root'
finish
