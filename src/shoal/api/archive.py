"""The files of containers on the wire: what `docker cp` and `docker commit` say and are told."""

from __future__ import annotations

import base64

import msgspec

from shoal.api.container import ContainerConfig
from shoal.api.wire import Wire, encode


class PathStat(Wire, kw_only=True, rename="camel"):
    """What is at a path of a container. Docker API v1.50 ContainerArchiveInfo.

    `mode` is Go's os.FileMode; `link_target` is where a symbolic link leads in the end, inside the container.
    """

    name: str
    size: int
    mode: int
    mtime: str
    link_target: str = ""

    def header(self) -> bytes:
        """The value of X-Docker-Container-Path-Stat: JSON in base64."""
        return base64.b64encode(encode(self))


class ExtractOptions(msgspec.Struct, frozen=True, kw_only=True):
    """PUT /containers/ID/archive. `copy_owner` makes the container's user the owner of what is copied."""

    no_overwrite_dir_non_dir: bool = False
    copy_owner: bool = False


class CommitRequest(msgspec.Struct, frozen=True, kw_only=True):
    """POST /commit. `config` is what the body asks the image's configuration to be, beyond the container's."""

    container: str
    repository: str = ""
    tag: str = ""
    comment: str = ""
    author: str = ""
    pause: bool = True
    changes: tuple[str, ...] = ()
    config: ContainerConfig | None = None


class IdResponse(Wire, kw_only=True):
    """The answer that is the id of something new. Docker API v1.50 IDResponse."""

    id: str
