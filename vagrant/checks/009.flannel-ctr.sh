# webpod is reached by its address, from a pod, at every replica, on flannel-ctr: service
export KUBECONFIG='/etc/kubernetes/admin.conf'
service 'default' 'webpod' 24
