FROM busybox AS base
ENTRYPOINT ["top"]
CMD ["-b"]
FROM base
CMD ["-c"]
