# escape=`
FROM busybox
ENV windows=C:\dir `
    joined=yes
WORKDIR /a\b
