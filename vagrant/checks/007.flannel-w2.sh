# webpod's service has its chain, on flannel-w2: chain
chain 'nat' 'KUBE-SVC-CNZCPOCNCNOROALA'
