FROM busybox
ENV x=value
ENV a=\$x b='$x' c="$x" d=\${x} e=$x.y f=${x}y g=$xy h=$ i=a$ j=\\$x k="\\$x"
