FROM busybox AS base
ENV a=1 b=2
LABEL l=1 m=2
EXPOSE 80
VOLUME /v
USER app
WORKDIR /base
SHELL ["/bin/sh", "-ec"]
STOPSIGNAL SIGINT
HEALTHCHECK CMD true
ENTRYPOINT ["e"]
CMD ["c"]
FROM base
ENV b=3 c=4
LABEL m=3
EXPOSE 81/udp
VOLUME /w
WORKDIR child
CMD shell form
