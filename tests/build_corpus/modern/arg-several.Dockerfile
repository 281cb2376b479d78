ARG one=1 two=2
FROM busybox
ARG one two three=3 four=$three
RUN [ "$one,$two,$three,$four" = 1,2,3,3 ]
