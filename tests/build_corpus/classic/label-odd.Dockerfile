FROM busybox
LABEL com.example.vendor="A B" "com.example.label-with-value"="foo" version=1.0
LABEL description="This text illustrates \
that label-values can span multiple lines." empty= other=""
LABEL dollar="\$x"
