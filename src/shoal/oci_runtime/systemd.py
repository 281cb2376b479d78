"""Control groups by systemd (`--systemd-cgroup`): asked for by callers on machines where systemd owns the tree."""

from __future__ import annotations

import os

from shoal.errors import Unsupported


def require_systemd() -> None:
    """Raises: Unsupported where systemd does not run."""
    if not os.path.isdir("/run/systemd/system"):
        raise Unsupported(
            "systemd cgroup flag passed, but systemd support for managing cgroups is not available",
            why="systemd does not run on this machine",
            fix="leave --systemd-cgroup out, and let the engine use the driver cgroupfs",
        )
