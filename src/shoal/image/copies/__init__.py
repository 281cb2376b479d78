"""Files between a container's root and a tar stream: what `docker cp` and `docker export` move."""
