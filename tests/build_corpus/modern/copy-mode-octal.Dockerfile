FROM busybox
COPY --chmod=0640 dir /dir/
COPY --chmod=4711 a.txt /a
ARG mode=444
COPY --chmod=$mode a.txt /b
RUN [ "$(stat -c %a /dir/one.txt /dir/sub/deep.txt /a /b | tr '\n' ' ')" = "640 640 4711 444 " ]
