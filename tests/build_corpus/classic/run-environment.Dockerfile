FROM busybox
ENV a=1 HOME=/tmp
USER app
WORKDIR /tmp
RUN pwd > where && echo $HOME $a > environment && hostname > /dev/null
