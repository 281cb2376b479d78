FROM busybox
COPY nothing-there /
