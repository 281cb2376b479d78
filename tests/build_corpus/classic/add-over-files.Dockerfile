FROM busybox
RUN mkdir -p /x/inside && echo old > /x/inside/file && echo kept > /x/inside/kept
ADD archive.tar /x
ADD archive.tar.gz /y
ADD dir archive.tar /z/
WORKDIR /w
ADD archive.tar .
