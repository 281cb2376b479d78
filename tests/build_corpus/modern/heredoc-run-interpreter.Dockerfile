FROM busybox
RUN <<EOF
#!/bin/awk -f
BEGIN { print "awk" > "/out" }
EOF
RUN [ "$(cat /out)" = awk ]
