FROM busybox
ARG who=world
COPY <<EOF /hello.txt
hello $who ${none:-default} \$who
EOF
COPY <<'EOF' /raw.txt
hello $who
EOF
COPY <<-one <<two a.txt /many/
	1
	one
2
two
RUN [ "$(cat /hello.txt)" = 'hello world default $who' ] && [ "$(cat /raw.txt)" = 'hello $who' ]
RUN [ "$(cat /many/one)$(cat /many/two)$(cat /many/a.txt)" = 12a ]
