FROM busybox
SHELL ["/bin/sh", "-e", "-c"]
RUN echo $- > /flags
CMD echo x
ENTRYPOINT echo y
