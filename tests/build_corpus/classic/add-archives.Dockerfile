FROM busybox
ADD archive.tar /plain/
ADD archive.tar.gz /gzip
ADD archive.tar.gz a.txt /both/
COPY archive.tar.gz /as-it-is/
