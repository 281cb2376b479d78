FROM busybox
USER app
WORKDIR /made
COPY a.txt dir ./
RUN id -u > /tmp/user
