FROM busybox
RUN ln -s plain-file /etc/link && ln -s /nowhere/file /dangling && mkdir /x && ln -s /x /y
COPY a.txt /etc/link
COPY b.txt /dangling
COPY dir /y
COPY links /x/
