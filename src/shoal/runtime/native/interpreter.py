"""The interpreter that supervisors run: a sealed copy in memory, which no container can write to.

A process that enters a container shows the host's `python3` as /proc/PID/exe, and whoever is root there could try to
write to it (CVE-2019-5736). What runs is therefore a memfd that is sealed against every change. One copy serves all
supervisors of a shoald. Runs in shoald.
"""

from __future__ import annotations

import errno
import fcntl
import os
import sys
import time

from shoal.errors import SyscallError
from shoal.linux.fd import Fd

_MFD_EXEC = 0x0010  # Linux 6.3; without it vm.memfd_noexec may make the copy unusable
_F_ADD_SEALS = 1033
_F_SEAL_SEAL, _F_SEAL_SHRINK, _F_SEAL_GROW, _F_SEAL_WRITE = 1, 2, 4, 8
_ALL_SEALS = _F_SEAL_SEAL | _F_SEAL_SHRINK | _F_SEAL_GROW | _F_SEAL_WRITE
_SEAL_TRIES = 20
_SEAL_PAUSE_S = 0.01


class SealedInterpreter:
    """The sealed copy (owned), the path that it was copied from, and the environment that it needs."""

    __slots__ = ("environment", "fd", "path")

    def __init__(self, path: str) -> None:
        self.path = path
        self.fd = _sealed_copy(path)
        self.environment = _environment()

    @property
    def executable(self) -> str:
        """The path by which this process, or a child of it before its exec, executes the copy."""
        return f"/proc/self/fd/{self.fd.fileno()}"

    def close(self) -> None:
        """Gives the copy back; supervisors that run it keep theirs."""
        self.fd.close()


def this_interpreter() -> str:
    """The real path of the interpreter behind `sys.executable`, a virtual environment's links resolved.

    With it as argv[0], the copy finds the standard library that belongs to it (getpath, "program_full_path").
    """
    base: str = getattr(sys, "_base_executable", "") or sys.executable
    return os.path.realpath(base)


def _sealed_copy(path: str) -> Fd:
    """A sealed memfd with the file's contents. memfd_create(2), F_ADD_SEALS. Raises: SyscallError."""
    copy = _executable_memfd()
    try:
        source = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            remaining = os.fstat(source).st_size
            while remaining > 0:
                remaining -= os.sendfile(copy.fileno(), source, None, remaining)
        finally:
            os.close(source)
        os.fchmod(copy.fileno(), 0o555)
        _seal(copy)
    except OSError as error:
        copy.close()
        raise SyscallError("memfd_create", path, error.errno or 0) from error
    return copy


def _seal(copy: Fd) -> None:
    """Seals the copy against every change. Raises: OSError.

    While another processor still holds a page of it in one of its lists, the kernel says EBUSY, after a wait of its
    own: on a busy machine that is seen, and it passes.
    """
    for _ in range(_SEAL_TRIES):
        try:
            fcntl.fcntl(copy.fileno(), _F_ADD_SEALS, _ALL_SEALS)
            return
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
            time.sleep(_SEAL_PAUSE_S)
    fcntl.fcntl(copy.fileno(), _F_ADD_SEALS, _ALL_SEALS)


def _executable_memfd() -> Fd:
    flags = os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING
    try:
        return Fd(os.memfd_create("shoal-python", flags | _MFD_EXEC))
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise SyscallError("memfd_create", "shoal-python", error.errno or 0) from error
    return Fd(os.memfd_create("shoal-python", flags))


def _environment() -> dict[str, str]:
    """Where a shared libpython is, for builds whose run path is relative to the executable: the copy has none."""
    # Asked of the kernel and not of `sysconfig`, whose import takes as long as the copy.
    with open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as mappings:
        for line in mappings:
            directory, _, name = line.rstrip("\n").rpartition("/")
            if name.startswith("libpython") and ".so" in name:
                return {"LD_LIBRARY_PATH": directory[directory.index("/") :]}
    return {}
