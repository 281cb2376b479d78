FROM busybox
COPY a.txt /etc/plain-file
COPY b.txt /etc/plain-file
RUN mkdir /merge && echo old > /merge/one.txt && echo kept > /merge/kept
COPY dir /merge
