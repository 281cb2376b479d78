FROM busybox
RUN <<-"EOF"
	x=1
	echo "tab $x" > /out
	EOF
RUN [ "$(cat /out)" = "tab 1" ]
