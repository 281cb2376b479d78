FROM busybox
ENV EMPTY= SPACE=" " QUOTES="\"'\"" DOLLAR=\$ UNICODE=äöü BACK=a\\b TAB="a	b"
ENV EMPTY2=""
ENV A.B=dot C-D=dash
