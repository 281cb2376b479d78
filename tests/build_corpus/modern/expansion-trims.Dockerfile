FROM busybox
ENV path=a/b/c.tar.gz
ENV one=${path#*/} two=${path##*/} three=${path%.*} four=${path%%.*} five=${path#x} six=${path##*[}]x}
RUN [ "$one $two $three $four $five" = "b/c.tar.gz c.tar.gz a/b/c.tar a/b/c a/b/c.tar.gz" ]
