FROM busybox
COPY dir /etc/plain-file
