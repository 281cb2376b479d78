"""This machine as images name it."""

from __future__ import annotations

import platform

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}


def architecture() -> str:
    """This machine's architecture: `amd64`."""
    machine = platform.machine()
    return _ARCHITECTURES.get(machine, machine)
