FROM busybox
RUN ["/bin/sh", "-c", "echo \"$0\" json > /json"]
RUN echo shell \
    and more > /shell && \
    # between
    echo end >> /shell
RUN set -e; for x in 1 2; do echo "$x" >> /loop; done
