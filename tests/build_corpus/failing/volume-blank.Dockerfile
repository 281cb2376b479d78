FROM busybox
VOLUME $nothing
