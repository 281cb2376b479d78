FROM scratch
COPY a.txt /
ENV a=b
CMD ["/none"]
