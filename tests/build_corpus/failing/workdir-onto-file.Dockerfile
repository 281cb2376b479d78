FROM busybox
WORKDIR /etc/plain-file
