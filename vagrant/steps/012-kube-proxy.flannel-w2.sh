# kube-proxy on flannel-w2: wait
begin kube-proxy
text probe <<'LAB_TEXT'
iptables-save -t nat | grep -q -- '-A KUBE-SERVICES -d .* -j KUBE-SVC-'
LAB_TEXT
hold probe 2 90 'kube-proxy has written the rules of the first service'
finish
