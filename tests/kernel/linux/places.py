"""Small things that the tests of mounts need."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from shoal.errors import SyscallError
from shoal.linux import filesystems
from shoal.linux.fd import Fd
from shoal.linux.libc import syscall


def place(path: Path | str) -> Fd:
    """An O_PATH descriptor of `path`, as the target of a mount."""
    return Fd(os.open(path, os.O_PATH | os.O_CLOEXEC))


def mount_options(path: Path | str) -> list[str]:
    """The options of the mount on top at `path`, from this process's mountinfo."""
    for line in reversed(Path("/proc/self/mountinfo").read_text().splitlines()):
        fields = line.split(" ")
        if fields[4] == str(path):
            return fields[5].split(",")
    raise AssertionError(f"nothing is mounted at {path}")


def mountinfo_line(path: Path | str) -> str:
    """The whole line of the mount on top at `path`."""
    lines = [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if line.split(" ")[4] == str(path)]
    return lines[-1]


def refusal(path: Path | str, flags: int = os.O_WRONLY | os.O_CREAT) -> int:
    """The errno with which opening `path` fails, 0 when it does not."""
    try:
        os.close(os.open(path, flags))
    except OSError as error:
        return error.errno or 0
    return 0


def hide_system_calls(monkeypatch: pytest.MonkeyPatch, module: object, *names: str) -> None:
    """Let the named calls fail with ENOSYS in `module`, as on an older kernel."""

    def older(number: int, name: str, object: str, *arguments: object) -> int:
        if name in names:
            raise SyscallError(name, object, errno.ENOSYS)
        return syscall(number, name, object, *arguments)

    monkeypatch.setattr(module, "syscall", older)


def tmpfs(path: Path) -> None:
    """A small tmpfs at `path`, a mount of its own."""
    with place(path) as target:
        filesystems.mount_filesystem("tmpfs", target, options=["size=1m"]).close()
