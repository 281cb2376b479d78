FROM busybox AS source
RUN mkdir /s && echo staged > /s/file
FROM busybox
RUN --mount=target=/context [ "$(cat /context/a.txt)" = a ] && ! touch /context/x
RUN --mount=type=bind,source=dir/sub,target=/sub,rw [ -f /sub/deep.txt ] && touch /sub/new
RUN --mount=type=bind,from=source,source=/s,target=/s [ "$(cat /s/file)" = staged ]
RUN --mount=type=bind,from=busybox,target=/image [ -x /image/bin/busybox ]
RUN [ ! -e /context/a.txt ] && [ ! -e /sub/new ] && [ ! -e /s/file ]
