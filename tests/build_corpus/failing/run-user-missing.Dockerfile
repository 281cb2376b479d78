FROM busybox
USER nobody-here
RUN true
