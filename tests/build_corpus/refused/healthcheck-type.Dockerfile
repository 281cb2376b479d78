FROM busybox
HEALTHCHECK curl
