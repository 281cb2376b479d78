FROM busybox AS base
ENTRYPOINT ["x"]
CMD ["y"]
FROM base
ENTRYPOINT []
CMD []
