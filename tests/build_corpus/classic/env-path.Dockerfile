FROM busybox
ENV PATH=/opt/bin:$PATH
ENV PATH $PATH:/last
RUN echo "$PATH" > /path
