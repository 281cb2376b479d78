FROM busybox
WORKDIR first
COPY a.txt .
