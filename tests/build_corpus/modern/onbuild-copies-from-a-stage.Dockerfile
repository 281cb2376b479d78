FROM busybox AS made
RUN echo made > /file
FROM busybox AS base
ONBUILD COPY --from=made /file /triggered
ONBUILD RUN --mount=from=made,target=/m cp /m/file /mounted
FROM base
RUN [ "$(cat /triggered /mounted | tr -d '\n')" = mademade ]
