FROM busybox AS base
ONBUILD ENV triggered=yes
ONBUILD COPY a.txt /triggered.txt
ONBUILD RUN echo run > /run.txt
FROM base
ENV after=$triggered
