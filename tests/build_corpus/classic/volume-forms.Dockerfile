FROM busybox
VOLUME /one /two
VOLUME ["/three four", "/five"]
