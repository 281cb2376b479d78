FROM busybox
RUN mkdir /data && echo before > /data/before
VOLUME /data
COPY a.txt /data/copied
