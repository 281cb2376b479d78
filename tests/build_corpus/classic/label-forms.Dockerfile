FROM busybox
LABEL a=1 "b c"="d e" f='g' multi="line \
two"
LABEL old style of label
LABEL a=2
