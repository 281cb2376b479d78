"""Names of tar entries as paths inside a root. Pure."""

from __future__ import annotations

import os

from shoal.errors import InvalidArgument

_PATH_MAX = 4096


def clean_name(name: bytes) -> bytes:
    """The path of a tar entry relative to the root, lexically cleaned: no `.`, no `..`, no leading or double slash.

    Raises: InvalidArgument for a name that leads out of the root, is empty of meaning, or too long.
    """
    framed = b"/" + name + b"/"
    if b"/./" not in framed and b"/../" not in framed and b"//" not in name and len(name) < _PATH_MAX:
        return name.strip(b"/")
    parts: list[bytes] = []
    for part in name.split(b"/"):
        if part == b"..":
            # Above an absolute name's root is the root; a relative name must not leave.
            if not parts and not name.startswith(b"/"):
                raise InvalidArgument("invalid layer entry", why=f"`{os.fsdecode(name)}` is outside of the root")
            parts = parts[:-1]
        elif part not in (b"", b"."):
            parts.append(part)
    path = b"/".join(parts)
    if len(path) >= _PATH_MAX:
        raise InvalidArgument("invalid layer entry", why="a name longer than 4095 bytes")
    return path
