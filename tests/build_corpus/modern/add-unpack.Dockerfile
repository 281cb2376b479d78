FROM busybox
ADD --unpack=false archive.tar.gz /kept/
ADD --unpack archive.tar /made/
RUN [ -f /kept/archive.tar.gz ] && [ "$(cat /made/inside/file)" = packed ] && [ ! -e /made/archive.tar ]
