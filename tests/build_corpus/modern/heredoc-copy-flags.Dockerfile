FROM busybox
COPY --chown=1:2 --chmod=750 <<run.sh /bin/
#!/bin/sh
echo ran
run.sh
ADD --chmod=600 <<EOF /etc/secretive
x
EOF
RUN [ "$(stat -c %a:%u:%g /bin/run.sh)" = 750:1:2 ] && [ "$(run.sh)" = ran ] && [ "$(stat -c %a /etc/secretive)" = 600 ]
