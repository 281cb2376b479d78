FROM busybox
COPY --chown=1000:2000 dir /numbers/
COPY --chown=app:extra a.txt /names
COPY --chown=daemon a.txt /user
COPY --chown=7 a.txt /number
