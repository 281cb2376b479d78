FROM busybox
RUN --mount=type=cache,target=/c,id=corpus-mount-cache echo kept > /c/file
RUN --mount=type=cache,target=/other,id=corpus-mount-cache,sharing=locked [ "$(cat /other/file)" = kept ]
RUN --mount=type=cache,target=/m,id=corpus-mode,mode=0700,uid=3,gid=4 [ "$(stat -c %a:%u:%g /m)" = 700:3:4 ]
RUN [ ! -e /c/file ]
