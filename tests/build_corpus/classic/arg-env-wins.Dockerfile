FROM busybox
ENV a=env
ARG a=arg
ENV seen=$a
RUN echo $a > /seen
# build: --build-arg a=given
