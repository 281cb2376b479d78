"""A root file system of one program: busybox, under the name of each of its applets."""

from __future__ import annotations

import io
import struct
import subprocess
import tarfile

from shoal.cli.bootstrap.entries import directory_entry, file_entry, symlink_entry
from shoal.errors import Unavailable

_INSTALL = "apt-get install -y busybox-static"
_INTERPRETER = 3  # PT_INTERP: the program needs a dynamic loader. elf(5)


def busybox_tar(program: str) -> bytes:
    """A file system with one program and a name for each of its applets.

    Raises: Unavailable when busybox does not run, or would not in a root of its own.
    """
    try:
        listed = subprocess.run([program, "--list"], capture_output=True, text=True, check=True)
        with open(program, "rb") as file:
            content = file.read()
    except (OSError, subprocess.CalledProcessError) as error:
        raise Unavailable(f"can't use {program}", why=str(error), fix=_INSTALL) from None
    if _needs_libraries(content):
        raise Unavailable(f"can't use {program}", why="it needs shared libraries, which the image lacks", fix=_INSTALL)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name in ("bin", "dev", "etc", "proc", "root", "sys"):
            tar.addfile(directory_entry(name))
        tar.addfile(directory_entry("tmp", mode=0o1777))
        tar.addfile(file_entry("bin/busybox", len(content), mode=0o755), io.BytesIO(content))
        for applet in listed.stdout.split():
            if applet != "busybox":
                tar.addfile(symlink_entry(f"bin/{applet}", "busybox"))
        accounts = b"root:x:0:0:root:/root:/bin/sh\n"
        tar.addfile(file_entry("etc/passwd", len(accounts)), io.BytesIO(accounts))
    return buffer.getvalue()


def _needs_libraries(program: bytes) -> bool:
    """Whether a 64-bit little-endian ELF program names a dynamic loader."""
    if program[:6] != b"\x7fELF\x02\x01":
        return False
    (offset,), (size, count) = struct.unpack_from("<Q", program, 32), struct.unpack_from("<HH", program, 54)
    return any(struct.unpack_from("<I", program, offset + number * size)[0] == _INTERPRETER for number in range(count))
