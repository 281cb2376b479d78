"""Volumes: directories that outlive their containers, and the metadata of them."""
