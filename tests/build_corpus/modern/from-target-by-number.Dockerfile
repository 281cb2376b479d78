FROM busybox
RUN true
FROM busybox
RUN false
# build: --target 0
