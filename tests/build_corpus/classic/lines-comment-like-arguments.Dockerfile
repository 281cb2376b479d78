FROM busybox
ENV hash=a#b
LABEL text="# no comment"
CMD echo # the shell's own comment
