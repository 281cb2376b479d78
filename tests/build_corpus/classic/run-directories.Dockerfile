FROM busybox
COPY dir /d
RUN chmod 700 /home && chown 5:6 /var && rm -r /d/sub && echo file > /d/sub
RUN mv /d /moved && rm /www/index.html && rmdir /www && ln -s /moved /www
RUN mkdir -p /deep/er/est && touch /deep/er/est/x && rm -r /deep
RUN touch /etc/plain-file
