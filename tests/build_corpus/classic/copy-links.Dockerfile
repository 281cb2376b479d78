FROM busybox
COPY link.txt /followed
COPY links /links/
