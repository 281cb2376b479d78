FROM busybox AS chosen
ARG TARGETSTAGE
RUN [ "$TARGETSTAGE" = chosen ]
FROM busybox
# build: --target chosen
