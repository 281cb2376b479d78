"""What a mount that a request asks for comes to, whichever way it is written. Pure."""

from __future__ import annotations

import posixpath
from typing import Literal

import msgspec

from shoal.errors import InvalidArgument

PROPAGATIONS = ("private", "rprivate", "shared", "rshared", "slave", "rslave")
TARGET_IS_ROOT = "invalid specification: destination can't be '/'"

ReadOnly = Literal["no", "mount", "recursive"]


class RequestedMount(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One mount of the request, checked.

    `kind` is bind (source: a path of the host), volume (source: its name, "" for an anonymous one), image (source:
    what a client calls it) or tmpfs. A volume that the engine has resolved has its name in `volume`, its directory
    in `source`; `anonymous` ones go with their container. An image that it has resolved has its directories, the
    top one first, in `layers`. `subpath` is the part of a volume or an image that is mounted.
    `create_source` says that a missing source becomes a directory, as with `-v`. `mode` is the `-v` notation's
    third part, for `inspect`.
    """

    kind: Literal["bind", "volume", "tmpfs", "image"]
    source: str
    target: str
    read_only: ReadOnly = "no"
    propagation: str = "rprivate"
    recursive: bool = True
    create_source: bool = False
    mode: str = ""
    options: tuple[str, ...] = ()
    no_copy: bool = False
    volume: str = ""
    anonymous: bool = False
    subpath: str = ""
    layers: tuple[str, ...] = ()
    driver: str = ""
    driver_options: dict[str, str] = {}
    labels: dict[str, str] = {}


def clean_target(target: str) -> str:
    """The absolute path without `.`, `..` and doubled slashes; POSIX lets normpath keep two leading ones."""
    return "/" + posixpath.normpath(target).lstrip("/")


def tmpfs_options(text: str) -> tuple[str, ...]:
    """The mount options of `--tmpfs TARGET:TEXT`: Docker's defaults, then the text's, the later word winning.

    Raises: InvalidArgument for an option that tmpfs or Docker does not know.
    """
    options: dict[str, str] = {"exec": "noexec", "suid": "nosuid", "dev": "nodev"}
    for word in (word for word in text.split(",") if word):
        key, equals, value = word.partition("=")
        if equals:
            if key not in ("mode", "size", "uid", "gid", "nr_inodes", "nr_blocks", "mpol") or not value:
                raise InvalidArgument(f'invalid tmpfs option ["{word}"]')
            options[key] = word
        elif word in ("ro", "rw"):
            options["rw"] = word
        elif word in _FLAGS:
            options[word.removeprefix("no")] = word
        elif word != "defaults" and word not in PROPAGATIONS:
            raise InvalidArgument(f'invalid tmpfs option ["{word}"]')
    return tuple(options.values())


_FLAGS = frozenset(
    [
        "atime",
        "noatime",
        "diratime",
        "nodiratime",
        "dev",
        "nodev",
        "exec",
        "noexec",
        "suid",
        "nosuid",
        "relatime",
        "norelatime",
        "strictatime",
        "nostrictatime",
        "sync",
        "async",
        "dirsync",
        "mand",
        "nomand",
    ]
)
