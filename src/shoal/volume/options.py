"""The options of the `local` driver: a volume that shows another directory, or memory. Pure.

    docker volume create -o type=none -o o=bind,ro -o device=/srv/data      a directory of the host
    docker volume create -o type=tmpfs -o o=size=10m -o device=tmpfs        memory, for one container at a time

Source: `docker volume create`, driver-specific options; error sentences as dockerd's.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from shoal.errors import InvalidArgument, Unsupported

_KNOWN = ("type", "o", "device", "size")
_NEEDS = {"device": ("type",), "type": ("device",), "o": ("device", "type")}


@dataclass(frozen=True, slots=True)
class Backing:
    """What a volume's content is: its own directory, another directory of the host, or memory.

    `path` is for "bind" alone, `options` are mount options of "tmpfs" alone.
    """

    kind: Literal["directory", "bind", "tmpfs"] = "directory"
    path: str = ""
    read_only: bool = False
    options: str = ""


def backing_of(options: Mapping[str, str]) -> Backing:
    """What the options ask for.

    Raises: InvalidArgument in Docker's words; Unsupported for a file system that shoal does not mount.
    """
    for name in options:
        if name not in _KNOWN:
            raise InvalidArgument(f'invalid option: "{name}"')
    given = {name for name, value in options.items() if value}
    for name in _NEEDS:
        for needed in _NEEDS[name] if name in given else ():
            if needed not in given:
                raise InvalidArgument(f'missing required option: "{needed}"')
    if "size" in given:
        raise InvalidArgument('quota size requested but no quota support: "size"')
    if "type" not in given:
        return Backing()
    words = [word for word in options.get("o", "").split(",") if word]
    device = options["device"]
    if "bind" in words or "rbind" in words:
        if not device.startswith("/"):
            raise InvalidArgument(f"invalid device {device!r}", why="the device of a bind is an absolute path")
        return Backing("bind", posixpath.normpath(device), read_only="ro" in words)
    if options["type"] == "tmpfs":
        return Backing("tmpfs", options=",".join(words))
    raise Unsupported(
        f"volumes of type {options['type']!r} are not served yet",
        fix="mount it on the host, and use -o type=none -o o=bind -o device=DIRECTORY",
    )
