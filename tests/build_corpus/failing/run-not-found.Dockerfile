FROM busybox
RUN nothing-like-this
