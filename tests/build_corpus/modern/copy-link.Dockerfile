FROM busybox
COPY --link a.txt /linked/a.txt
COPY --link --chown=1:2 dir /linked/dir/
RUN [ "$(cat /linked/a.txt)" = a ] && [ "$(stat -c %u:%g /linked/dir/sub/deep.txt)" = 1:2 ]
