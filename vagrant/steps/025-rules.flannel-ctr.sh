# rules on flannel-ctr: wait
begin rules
text probe <<'LAB_TEXT'
iptables-save -t nat | grep -e '-A KUBE-SVC-.* --comment "default/webpod -> '
test "$(iptables-save -t nat | grep -c -e '-A KUBE-SVC-.* --comment "default/webpod -> ')" = 2
LAB_TEXT
hold probe 2 120 'kube-proxy has written its rules for 2 endpoints of default/webpod'
finish
