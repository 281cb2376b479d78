FROM busybox AS made
RUN mkdir /s && mkfifo -m 640 /s/fifo && ln -s nowhere /s/dangling
FROM busybox
COPY --from=made /s /copied
RUN [ -p /copied/fifo ] && [ "$(stat -c %a /copied/fifo)" = 640 ] && [ -L /copied/dangling ]
