FROM busybox
RUN --mount=type=secret,id=none [ ! -e /run/secrets/none ]
RUN --mount=type=secret,id=none,env=NONE [ -z "$NONE" ]
RUN --mount=type=ssh [ -z "$SSH_AUTH_SOCK" ]
