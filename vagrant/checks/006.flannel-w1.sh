# flannel lets the pods' packets through, on flannel-w1: chain
chain 'filter' 'FLANNEL-FWD'
