"""What a failed system call means to the user of the image store: a bad layer, a full disk, or a broken machine."""

from __future__ import annotations

import errno
import os

from shoal.errors import Internal, InvalidArgument, ShoalError
from shoal.image.tar.header import HARD_LINK, TarEntry


class DiskFull(Internal):
    """There is no room left on the file system of the data root."""


MORE_ROOM = "free space on the file system of the data root, e.g. with `docker image prune`"
_FULL = frozenset((errno.ENOSPC, errno.EDQUOT))
_OF_NAMES = frozenset((errno.EEXIST, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENOENT, errno.ENOTDIR))
_THEIR_FAULT = _OF_NAMES | {errno.EINVAL, errno.EMLINK, errno.EFBIG}


def explained(error: Exception, entry: TarEntry | None = None, *, doing: str = "unpack layer") -> ShoalError:
    """The problem that a system call, failed while `doing` something, at `entry` if given, means to the user."""
    place = f"`{os.fsdecode(entry.name)}`: " if entry is not None else ""
    if not isinstance(error, OSError):
        return InvalidArgument("invalid layer entry", why=f"{place}{error}")
    number = error.errno or 0
    if number in _FULL:
        return DiskFull(f"failed to {doing}", why=f"{place}no space left on device", fix=MORE_ROOM)
    if entry is not None and (number in _THEIR_FAULT or (number == errno.EPERM and entry.kind == HARD_LINK)):
        return InvalidArgument("invalid layer entry", why=f"{place}{os.strerror(number)}")
    return Internal(f"failed to {doing}", why=f"{place}{os.strerror(number)}")
