FROM busybox
WORKDIR /a
WORKDIR b
WORKDIR ../c/./d//e
RUN pwd > /where
WORKDIR with space
