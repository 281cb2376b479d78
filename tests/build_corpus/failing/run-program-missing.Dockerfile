FROM busybox
RUN ["/nothing"]
