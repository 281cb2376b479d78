# A mark of the editor before the first comment.
FROM busybox
ENV a=b
