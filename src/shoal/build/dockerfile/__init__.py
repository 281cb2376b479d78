"""The Dockerfile language: from text to typed instructions, and what their words mean; no I/O anywhere in here.

Reference: https://docs.docker.com/reference/dockerfile/.
"""
