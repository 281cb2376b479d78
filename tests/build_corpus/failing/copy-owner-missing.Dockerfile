FROM busybox
COPY --chown=nobody-here a.txt /
