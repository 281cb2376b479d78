FROM busybox
ENV name a value  with "quotes" and = signs
ENV other   leading
