"""The same cases against Debian's dockerd and against shoald, with the stock docker command and docker-py."""
