FROM busybox
WORKDIR $nothing
