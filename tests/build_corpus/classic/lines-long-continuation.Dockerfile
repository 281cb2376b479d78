FROM busybox
RUN true \
  && echo "# not a comment" > /one \
  # a comment \
  && echo two > /two \

  && echo three > /three
