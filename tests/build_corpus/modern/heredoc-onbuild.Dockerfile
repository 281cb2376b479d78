FROM busybox AS base
ONBUILD RUN <<EOF
echo triggered > /out
EOF
FROM base
RUN [ "$(cat /out)" = triggered ]
