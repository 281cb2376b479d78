FROM busybox
ENTRYPOINT ["/bin/echo", "a b", "\u00e9\t\"q\""]
CMD [ "x" ,"y" ]
