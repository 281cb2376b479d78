FROM busybox
COPY /a.txt /absolute
COPY ./dir/../b.txt /up
COPY dir/. /dot
COPY ./dir /d
COPY a.txt www
COPY a.txt /www
COPY a.txt b.txt ./
