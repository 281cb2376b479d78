"""Dockerfiles that cover the Dockerfile reference point by point.

    classic/   built by Docker's classic builder and by shoal, with the same result
    modern/    what the classic builder does not know; they test themselves in their RUNs
    refused/   mistakes in the file itself, with what the refusal says in NAME.expected
    failing/   builds that fail later, with what is said then

All are built with the context of `corpus.context`. A last line `# build: --build-arg a=b --target x` is for the build.
"""
