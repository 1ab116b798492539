# flannel masquerades what leaves the pod network, on flannel-w2: chain
chain 'nat' 'FLANNEL-POSTRTG'
