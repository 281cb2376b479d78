"""One daemon for one data root and one exec root: a lock that dies with the process, and the pid for people."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shoal.errors import Conflict, Internal


@contextmanager
def exclusive(directory: Path) -> Iterator[None]:
    """Holds `directory`, which is made when it is missing.

    Raises: Conflict when another daemon holds it; Internal when it cannot be made.
    """
    try:
        directory.mkdir(mode=0o711, parents=True, exist_ok=True)
        lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as cause:
        raise Internal(f"cannot use {str(directory)!r}", why=os.strerror(cause.errno or 0)) from cause
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict(
                f"cannot use {str(directory)!r}",
                why="another shoald runs on it",
                fix="stop that one, or give this one its own --data-root, --exec-root and -H",
            ) from None
        yield
    finally:
        os.close(lock)


@contextmanager
def pidfile(path: Path) -> Iterator[None]:
    """Writes this process's id to `path` and removes it at the end. Raises: Internal."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{os.getpid()}\n")
    except OSError as cause:
        raise Internal(f"cannot write the pidfile {str(path)!r}", why=os.strerror(cause.errno or 0)) from cause
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
