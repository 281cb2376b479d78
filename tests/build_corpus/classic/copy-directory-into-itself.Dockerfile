FROM busybox
COPY dir /d
COPY dir/sub /d/sub
COPY dir /d/dir
