"""A small image from the host's static busybox, made without any registry."""

from __future__ import annotations

import io
import subprocess
import tarfile
from functools import cache
from pathlib import Path

BUSYBOX = Path("/bin/busybox")
IMAGE = "busybox"
PASSWD = "root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1::/:/bin/false\napp:x:1000:1000:App:/home/app:/bin/sh\n"
GROUP = "root:x:0:\ndaemon:x:1:\napp:x:1000:\nextra:x:2000:app\n"


def _add(archive: tarfile.TarFile, name: str, mode: int, data: bytes | None = None, link: str = "") -> None:
    entry = tarfile.TarInfo(name)
    entry.mode = mode
    if link:
        entry.type, entry.linkname = tarfile.SYMTYPE, link
    elif data is None:
        entry.type = tarfile.DIRTYPE
    else:
        entry.size = len(data)
    archive.addfile(entry, io.BytesIO(data or b""))


@cache
def root_filesystem() -> bytes:
    """A tar of busybox with all its applets, two users and a file that is not executable; the same bytes each time."""
    applets = subprocess.run([BUSYBOX, "--list"], capture_output=True, check=True, text=True).stdout.split()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name in ("bin", "dev", "etc", "home", "proc", "root", "sys", "usr", "usr/bin", "var", "www"):
            _add(archive, name, 0o755)
        _add(archive, "tmp", 0o1777)
        _add(archive, "bin/busybox", 0o755, BUSYBOX.read_bytes())
        for applet in applets:
            if applet != "busybox":
                _add(archive, f"bin/{applet}", 0o777, link="busybox")
        _add(archive, "etc/passwd", 0o644, PASSWD.encode())
        _add(archive, "etc/group", 0o644, GROUP.encode())
        _add(archive, "etc/plain-file", 0o644, b"not a program\n")
        _add(archive, "www/index.html", 0o644, b"hello from the container\n")
    return buffer.getvalue()
