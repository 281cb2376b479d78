FROM busybox AS base
ONBUILD ARG given=default
ONBUILD ENV kept=$given
ONBUILD WORKDIR /on
ONBUILD USER app
ONBUILD LABEL made=by
ONBUILD CMD ["on", "build"]
ONBUILD EXPOSE 99
FROM base
RUN echo "$kept" > /tmp/kept
# build: --build-arg given=yes
