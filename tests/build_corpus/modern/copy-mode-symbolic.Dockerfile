FROM busybox
COPY --chmod=u=rwX,go=rX dir /dir/
COPY --chmod=a+x,g-r a.txt /a
RUN [ "$(stat -c %a /dir/one.txt /dir/sub /a | tr '\n' ' ')" = "644 755 715 " ]
