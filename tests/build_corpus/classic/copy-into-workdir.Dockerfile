FROM busybox
WORKDIR /place/dir
COPY a.txt ./
COPY a.txt x/y
COPY b.txt ../
