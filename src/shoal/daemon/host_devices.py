"""The device nodes of the host, for `--device` and `--privileged`."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from shoal.engine.specgen import HostDevice

# Made anew in each container, or meaningless there.
_SKIPPED_DIRECTORIES = frozenset({"pts", "shm", "fd", "mqueue", "hugepages", ".lxc", ".lxd-mounts", ".udev"})
_SKIPPED_NODES = frozenset({"console"})


class HostDevices:
    """Looks at /dev when asked."""

    def lookup(self, path: str) -> list[HostDevice]:
        """The device at `path`, or all below the directory there; empty when it is neither.

        Raises: OSError when there is nothing at `path`.
        """
        real = os.path.realpath(path)
        if stat.S_ISDIR(os.stat(real).st_mode):
            return self._below(Path(real))
        device = _device(real)
        return [device] if device else []

    def all(self) -> list[HostDevice]:
        """Every device that a privileged container gets."""
        return self._below(Path("/dev"))

    def _below(self, directory: Path) -> list[HostDevice]:
        found = []
        for parent, directories, names in os.walk(directory):
            directories[:] = [name for name in directories if name not in _SKIPPED_DIRECTORIES]
            for name in sorted(names):
                if name in _SKIPPED_NODES:
                    continue
                try:
                    device = _device(os.path.join(parent, name))
                except OSError:
                    continue  # unplugged just now
                if device is not None:
                    found.append(device)
        return found


def _device(path: str) -> HostDevice | None:
    info = os.lstat(path)
    kind = "c" if stat.S_ISCHR(info.st_mode) else "b" if stat.S_ISBLK(info.st_mode) else ""
    if not kind:
        return None
    return HostDevice(
        path=path,
        kind=kind,
        major=os.major(info.st_rdev),
        minor=os.minor(info.st_rdev),
        mode=stat.S_IMODE(info.st_mode),
        uid=info.st_uid,
        gid=info.st_gid,
    )
