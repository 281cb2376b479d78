FROM busybox
RUN --mount=type=tmpfs,target=/t,size=1m grep -q ' /t tmpfs ' /proc/mounts && touch /t/x
RUN [ ! -e /t/x ]
