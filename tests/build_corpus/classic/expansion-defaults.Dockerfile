FROM busybox
ENV set=value empty=
ENV a=${set:-no} b=${empty:-yes} c=${unset:-yes} d=${set:+yes} e=${empty:+no}x f=${unset:+no}x
ENV i=${unset:-${set}} j="${unset:-a b}" k=${unset:-'$set'}
