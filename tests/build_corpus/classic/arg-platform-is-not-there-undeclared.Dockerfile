FROM busybox
ENV seen=<$TARGETPLATFORM>
RUN echo "<$TARGETARCH>" > /seen
