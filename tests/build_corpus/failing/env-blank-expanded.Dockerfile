FROM busybox
ENV $nothing=x
