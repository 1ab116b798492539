# flannel lets the pods' packets through, on flannel-ctr: chain
chain 'filter' 'FLANNEL-FWD'
