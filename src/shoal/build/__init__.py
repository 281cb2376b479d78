"""Builds images from Dockerfiles: the language, the graph of steps, the cache, the steps."""
