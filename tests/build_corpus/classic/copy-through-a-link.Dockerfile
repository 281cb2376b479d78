FROM busybox
RUN mkdir /real && ln -s /real /link && ln -s ../../real /etc/deep
COPY a.txt /link/
COPY b.txt /etc/deep/
COPY dir /link/dir
