FROM busybox
ENV a=b c="d e" f='g h' i=j\ k l= m="x=y"
ENV "quoted key"=v
