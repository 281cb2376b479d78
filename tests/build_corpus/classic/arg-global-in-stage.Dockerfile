ARG version=7
ARG other=9
FROM busybox
ARG version
ARG other=mine
ENV seen=$version,$other
