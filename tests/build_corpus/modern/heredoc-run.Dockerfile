FROM busybox
ENV x=env
RUN <<EOF
set -e
y=shell
echo "$x $y \$x" > /out
EOF
RUN [ "$(cat /out)" = 'env shell $x' ]
