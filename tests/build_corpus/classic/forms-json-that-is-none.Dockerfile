FROM busybox
CMD ['single', 'quotes']
ENTRYPOINT ["trailing",]
