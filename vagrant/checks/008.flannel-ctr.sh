# webpod runs on two nodes, on flannel-ctr: pods
export KUBECONFIG='/etc/kubernetes/admin.conf'
pods 'default' 'app=webpod' 2 2 ''
