# flannel masquerades what leaves the pod network, on flannel-ctr: chain
chain 'nat' 'FLANNEL-POSTRTG'
