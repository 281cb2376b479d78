FROM busybox
COPY *.txt /w1/
COPY dir/*.md dir/on?.txt /w2/
COPY d*r /w3/
COPY [ab].txt /w4/
COPY dir/*/deep.txt /w5/
