# the pods of every other node are behind it, on flannel-w2: route
route '2' root '10.244.0.0/16' dev 'flannel.1'
