FROM busybox
ARG a=1
ARG b=$a-2
ARG none
ENV seen=$a,$b,$none
RUN echo "$a,$b,${none-unset}" > /args
