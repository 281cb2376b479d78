FROM busybox
ARG A=1
ARG B=two\ words
ARG C
RUN echo "$A $B ${C-unset}" > /args
ENV A=env
RUN echo "$A" >> /args
RUN ["/bin/sh", "-c", "echo json $B >> /args"]
# build: --build-arg C=given
