# about this file
# escape=`
FROM busybox
ENV a=1 \
    b=2
