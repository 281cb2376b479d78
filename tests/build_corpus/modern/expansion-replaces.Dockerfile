FROM busybox
ENV text=a-b-c
ENV one=${text/-/+} two=${text//-/+} three=${text//[/x} four=${text/b/} five="${text//?-/. }"
RUN [ "$one,$two,$four,$five" = "a+b-c,a+b+c,a--c,. . c" ]
