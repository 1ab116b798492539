# sample/curl-pod on flannel-ctr: upload
begin sample-curl-pod
text content <<'LAB_TEXT'
apiVersion: v1
kind: Pod
metadata:
  name: curl-pod
  labels:
    app: curl
# The lesson has a second `spec:` inside this one.
spec:
  nodeName: flannel-ctr
  containers:
  - name: curl
    image: alpine/curl
    imagePullPolicy: IfNotPresent
    command: ["sleep", "36000"]
  terminationGracePeriodSeconds: 0
LAB_TEXT
put '/root/curl-pod.yaml' 0644 'root:root'
finish
