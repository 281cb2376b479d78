FROM busybox
ENV empty= set=1
ENV a=${empty-no} b=${unset-yes} c=${empty+yes} d=${unset+no} e=${set:?} f=${set?}
RUN [ "$a,$b,$c,$d,$e,$f" = ",yes,yes,,1,1" ]
