# webpod's service has its chain, on flannel-w1: chain
chain 'nat' 'KUBE-SVC-CNZCPOCNCNOROALA'
