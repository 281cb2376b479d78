FROM busybox
ENV a="it's" b='say "x"' c="\"" d='\n' e="\n" f=\n g="\$HOME" h='$HOME' i="a"b'c'
