FROM busybox
WORKDIR /${x^y}
