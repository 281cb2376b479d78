"""Filling an empty volume, so that after a kill at any moment it is empty still, or whole."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Beside the content; the store removes what a kill left of it.
STAGING_PREFIX = ".filling-"


def fill(directory: Path, copy_to: Callable[[int], None], *, in_place: bool) -> None:
    """Lets `copy_to` fill the empty `directory`, whose descriptor it gets.

    Unless `in_place`, for a directory that somebody has mounted, what it writes takes the directory's place in one
    step, and nothing happens if there is something in it by then. Blocks; needs root. Raises: OSError.
    """
    if in_place:
        _copy(directory, copy_to)
        return
    staging = directory.with_name(STAGING_PREFIX + secrets.token_hex(8))
    staging.mkdir(mode=0o700)
    try:
        _copy(staging, copy_to)
        os.rename(staging, directory)
    except BaseException as error:
        shutil.rmtree(staging, ignore_errors=True)
        if isinstance(error, OSError) and error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            return  # another container was quicker
        raise


def _copy(directory: Path, copy_to: Callable[[int], None]) -> None:
    fd = os.open(directory, _DIRECTORY)
    try:
        copy_to(fd)
    finally:
        os.close(fd)
