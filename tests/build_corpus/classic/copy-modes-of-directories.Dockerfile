FROM busybox
COPY dir/sub /one
COPY dir/sub/ /two/
COPY dir/su* /three/
COPY dir/sub dir/sub /four/
COPY link.txt /five/
COPY links/relative b.txt /six/
RUN mkdir -m 711 /seven
COPY dir/sub /seven
