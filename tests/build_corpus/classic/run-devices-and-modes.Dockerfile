FROM busybox
RUN mkfifo /fifo && chmod 4755 /etc/plain-file && chmod 1777 /home && mkdir -m 2770 /setgid && umask > /umask
