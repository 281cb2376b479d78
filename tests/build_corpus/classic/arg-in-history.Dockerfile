FROM busybox
ARG a=1
RUN echo first > /first
ENV b=2
RUN echo second > /second
# build: --build-arg HTTP_PROXY=http://proxy.invalid:1
