FROM busybox
COPY --from=9 /x /
