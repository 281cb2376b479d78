FROM busybox
ENV ports="80 81/udp" paths="/a /b"
EXPOSE $ports 82
VOLUME $paths
