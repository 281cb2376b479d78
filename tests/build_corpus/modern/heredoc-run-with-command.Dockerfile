FROM busybox
RUN cat <<A > /a && cat <<'B' > /b && tr a-z A-Z <<-C > /c
one $((1+1))
A
two $x
B
	three
	C
RUN [ "$(cat /a)" = "one 2" ] && [ "$(cat /b)" = 'two $x' ] && [ "$(cat /c)" = THREE ]
