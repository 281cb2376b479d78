FROM busybox
HEALTHCHECK CMD ["true", "a b"]
