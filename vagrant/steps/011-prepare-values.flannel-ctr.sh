# prepare/values on flannel-ctr: upload
begin prepare-values
text content <<'LAB_TEXT'
podCidr: "10.244.0.0/16"

flannel:
  args:
  - "--ip-masq"
  - "--kube-subnet-mgr"
  - "--iface=eth1"
LAB_TEXT
put '/root/flannel-values.yaml' 0644 'root:root'
finish
