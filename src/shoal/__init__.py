"""shoal: a container engine for Linux that any Docker client drives."""

__version__ = "0.1.0"
