FROM busybox AS one
ENV which=one
FROM one AS two
ENV which=two
FROM two AS three
ENV which=three
# build: --target TWO
