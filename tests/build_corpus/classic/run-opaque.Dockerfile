FROM busybox AS base
COPY dir /replaced
FROM base
RUN rm -r /replaced && mkdir /replaced && echo new > /replaced/new
