FROM busybox AS base
EXPOSE 80 443/tcp
FROM base
EXPOSE 80/tcp 80/udp
