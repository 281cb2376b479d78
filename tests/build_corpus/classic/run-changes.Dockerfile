FROM busybox
RUN rm /etc/plain-file && rm -r /www
RUN mkdir -p /etc/new && echo x > /etc/new/x && chmod 600 /etc/group && chown 1:1 /etc/passwd
RUN mkdir /www && echo again > /www/other && ln -s other /www/link && ln /www/other /www/hard
