# flannel masquerades what leaves the pod network, on flannel-w1: chain
chain 'nat' 'FLANNEL-POSTRTG'
