FROM busybox
USER app
RUN id > /tmp/one
USER 1:2000
RUN id > /tmp/two
USER 1234
RUN id > /tmp/three
