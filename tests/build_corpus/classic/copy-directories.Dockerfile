FROM busybox
COPY dir /d1
COPY dir/ /d2/
COPY dir/sub a.txt /d3/
COPY . /all/
COPY hollow /hollow
