FROM busybox AS made
RUN mkdir -m 700 /private && echo p > /private/file && chmod 4755 /private/file && chown 1000:1000 /private /private/file
RUN ln -s /private /link && ln /private/file /private/hard && mkdir /private/empty
FROM busybox
COPY --from=made /private /copied
COPY --from=made /private/f* /some/
COPY --from=made /link/file /through
COPY --from=made /link /whole
WORKDIR /w
COPY --from=made private/file relative
