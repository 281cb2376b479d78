FROM busybox
RUN echo 1.2.3.4 x >> /etc/hosts; echo nameserver 1.1.1.1 > /etc/resolv.conf; echo h > /etc/hostname; true
RUN echo x > /dev/null; mkdir -p /proc/x 2> /dev/null; ls / > /listing
