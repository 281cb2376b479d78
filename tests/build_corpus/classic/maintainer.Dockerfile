FROM busybox
MAINTAINER Some One <someone@example.com>
LABEL a=b
