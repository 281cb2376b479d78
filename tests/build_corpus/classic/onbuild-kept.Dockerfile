FROM busybox
ONBUILD RUN echo "$x"
ONBUILD COPY --chown=1:1 . /src
ONBUILD ENV a=b
