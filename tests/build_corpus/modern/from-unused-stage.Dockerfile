FROM busybox AS broken
RUN false
FROM busybox AS fine
RUN true
