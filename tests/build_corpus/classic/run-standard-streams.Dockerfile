FROM busybox
RUN echo out; echo err >&2; cat; echo "ended $?" > /ended
RUN if [ -t 0 ]; then echo tty; else echo none; fi > /tty
