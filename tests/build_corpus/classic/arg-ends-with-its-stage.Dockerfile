FROM busybox AS base
ARG a=1
ENV inside=$a
FROM base
ENV outside=<$a>
