FROM busybox AS One
RUN mkdir /out && echo one > /out/file && chmod 750 /out/file && chown 1:2 /out/file && ln -s file /out/link
FROM busybox
RUN echo two > /two
FROM busybox
COPY --from=one /out /named/
COPY --from=0 /out/file /first
COPY --from=1 two /second
COPY --from=one --chown=5:6 /out/file /owned
