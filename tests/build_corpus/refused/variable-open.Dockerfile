FROM busybox
WORKDIR /${x
