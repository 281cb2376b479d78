FROM busybox
ENV dir=/made name=app port=8080 proto=udp sig=TERM file=a
LABEL $name=$dir "l-${name}"="v $dir"
WORKDIR $dir/${name}
USER $name:$name
EXPOSE $port ${port}/$proto
VOLUME $dir/volume
STOPSIGNAL SIG$sig
COPY ${file}.txt $nothing$file.tx? ./
ADD *$file.md b.txt $dir/
CMD echo $name
