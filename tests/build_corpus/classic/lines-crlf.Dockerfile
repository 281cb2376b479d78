FROM busybox
ENV one=1 \
    two=2
LABEL end=line
CMD echo hi
