FROM busybox
COPY --parents dir/sub/deep.txt a.txt /p/
COPY --parents ./dir/./sub/*.txt /pivot/
RUN [ -f /p/dir/sub/deep.txt ] && [ -f /p/a.txt ] && [ -f /pivot/sub/deep.txt ] && [ ! -e /pivot/dir ]
