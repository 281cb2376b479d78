# Continuations, with comments and spaces behind the sign.
FROM busybox
ENV one=1 \
    two=2 \
# a comment inside
    # another one, indented
    three=3
LABEL joined="a\
b"  \
  other=x
CMD ["echo", \
     "a"]
