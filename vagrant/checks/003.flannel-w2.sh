# flannel.1 is the tunnel between the nodes, on flannel-w2: link
link 'flannel.1' 'vxlan' '1450'
