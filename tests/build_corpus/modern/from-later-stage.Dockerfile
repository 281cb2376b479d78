FROM busybox AS result
COPY --from=source /made /
RUN [ "$(cat /made)" = later ]
FROM busybox AS source
RUN echo later > /made
# build: --target result
