# flannel lets the pods' packets through, on flannel-w2: chain
chain 'filter' 'FLANNEL-FWD'
