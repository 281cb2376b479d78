FROM busybox AS Some_Stage-1.x
ENV a=b
FROM SOME_stage-1.X
ENV c=$a
