FROM busybox
COPY a.txt /
COPY a.txt /renamed
COPY a.txt b.txt /new/dir/
COPY ["spaced name.txt", "/with space/"]
COPY tool.sh /bin/
