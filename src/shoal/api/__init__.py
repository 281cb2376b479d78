"""Wire types of the Docker API: what clients send, what shoal answers. Pure: msgspec and `errors` only."""
