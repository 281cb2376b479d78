FROM busybox
ARG a=default
ARG b
ARG c=kept
ENV seen=$a,$b,$c
RUN echo "$a,$b,$c" > /args
# build: --build-arg a=given --build-arg b=x\ y
