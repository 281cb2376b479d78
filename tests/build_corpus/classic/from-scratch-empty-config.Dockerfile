FROM scratch
LABEL only=label
