FROM busybox AS one
# build: --target two
