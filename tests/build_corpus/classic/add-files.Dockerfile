FROM busybox
ADD a.txt /
ADD --chown=1:2 dir /added/
ADD *.md no-archive.tar /x/
