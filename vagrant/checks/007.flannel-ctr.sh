# webpod's service has its chain, on flannel-ctr: chain
chain 'nat' 'KUBE-SVC-CNZCPOCNCNOROALA'
