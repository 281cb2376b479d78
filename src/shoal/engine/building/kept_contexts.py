"""Contexts of builds that are kept, so that the same client needs to send only what has changed since.

    build-contexts/ID/spool    what the files hold, appended to
    build-contexts/ID/index    a line with the token of this state and the boot, and the tree of entries (oci.file_tree)

The index is replaced by one rename, after what it speaks of is in the spool: a shoald that is killed leaves the state
before or the one after. A token is a secret of whoever sent the context, and all that is hashed is hashed here, so that
a client that tells less than the truth of its files hurts nobody else. What a crash of the whole machine may have torn,
a context of another boot, is not used. Used on the event loop but for what says so.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from shoal.errors import Internal
from shoal.image.archive_files import ArchiveFiles
from shoal.oci.file_tree import Node
from shoal.oci.packed import pack, unpack

_HEAD_MAX = 200
_AGE_NS = 30 * 24 * 3600 * 10**9
_BUDGET_SHARE = 20  # all of them may have one part in so many of the file system
_SMALL = 64 << 20
_DEAD_SHARE = 2  # one whose spool has so many times the bytes of its files is worth sending again


class Trash(Protocol):
    """Takes directories away."""

    def discard(self, path: str) -> None:
        """Take `path` out of sight at once."""


@dataclass(frozen=True, slots=True)
class KeptContext:
    """One that is there: the bytes of its spool, when a build had it last, and whether one has it now."""

    id: str
    path: Path
    size_bytes: int
    used_ns: int
    in_use: bool


class KeptContexts:
    """The contexts under `root`, for builds of this boot."""

    def __init__(self, root: Path, boot: str, trash: Trash) -> None:
        self._root = root
        self._boot = boot
        self._trash = trash
        self._taken: set[str] = set()
        for context in self.all():
            if not self._is_of_this_boot(context):
                trash.discard(str(context.path))  # or half received, by a shoald that was killed

    def has(self, token: str) -> bool:
        """Whether a build may take the context of this token. It may be damaged still."""
        id = _id_of(token)
        if not id or id in self._taken:
            return False
        try:
            with open(self._root / id / "index", "rb") as index:
                return index.readline(_HEAD_MAX) == self._head(token)
        except FileNotFoundError:
            return False

    def take(self, token: str) -> str:
        """The id of a context that is this build's until `give_back`: the token's, or a new one."""
        id = _id_of(token) if self.has(token) else secrets.token_hex(16)
        self._taken.add(id)
        return id

    def give_back(self, id: str) -> bool:
        """Undo `take`. One that came to nothing, or was not worth keeping, goes: whether it did."""
        self._taken.discard(id)
        goes = not (self._root / id / "index").exists() and (self._root / id).exists()
        if goes:
            self._trash.discard(str(self._root / id))
        return goes

    def open(self, id: str, token: str) -> ArchiveFiles | None:
        """The files of a taken context in the state `token`, "" for a new one; None where it is not to be had.

        Blocks. Raises: OSError.
        """
        directory = self._root / id
        if not token:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            return ArchiveFiles(os.open(directory / "spool", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        try:
            with open(directory / "index", "rb") as index:
                if index.readline(_HEAD_MAX) != self._head(token):
                    return None
                root = unpack(index.read(), Node, "index of a build context")
            return ArchiveFiles(os.open(directory / "spool", os.O_RDWR | os.O_CLOEXEC), root)
        except (FileNotFoundError, Internal):
            self._forget(id)
            return None

    def keep(self, id: str, files: ArchiveFiles) -> str:
        """The token of the context's new state; "" where it can't be kept. Blocks. Raises: OSError."""
        if files.spool_bytes > min(self._budget(), _DEAD_SHARE * files.root.file_bytes() + _SMALL):
            self._forget(id)
            return ""
        token = f"{id}.{secrets.token_hex(16)}"
        try:
            raw = self._head(token) + pack(files.root)
        except RecursionError:  # directories in each other, as no sane context has
            self._forget(id)
            return ""
        new = self._root / id / "index.new"
        new.write_bytes(raw)
        new.replace(self._root / id / "index")
        return token

    def renew(self, id: str) -> None:
        """Note that a build has used the context as it is."""
        os.utime(self._root / id / "index")

    def all(self) -> list[KeptContext]:
        """All that there are, those first that were not used for the longest time."""
        return sorted(self._listed(), key=lambda context: context.used_ns)

    def remove(self, id: str) -> None:
        """Forget one, unless a build has it."""
        if id not in self._taken and (self._root / id).exists():
            self._trash.discard(str(self._root / id))

    def collect(self, now_ns: int) -> None:
        """Forget those that nobody used for a month, and the oldest while all have more than their share."""
        contexts = self.all()
        if not contexts:
            return
        budget = self._budget()
        total = sum(context.size_bytes for context in contexts)
        for context in contexts:
            if context.used_ns + _AGE_NS > now_ns and total <= budget:
                return
            self.remove(context.id)
            total -= context.size_bytes

    def _is_of_this_boot(self, context: KeptContext) -> bool:
        try:
            with open(context.path / "index", "rb") as index:
                return index.readline(_HEAD_MAX).endswith(f" {self._boot}\n".encode())
        except FileNotFoundError:
            return False

    def _head(self, token: str) -> bytes:
        return f"{token} {self._boot}\n".encode()

    def _budget(self) -> int:
        status = os.statvfs(self._root)
        return status.f_blocks * status.f_frsize // _BUDGET_SHARE

    def _forget(self, id: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._root / id / "index")

    def _listed(self) -> Iterator[KeptContext]:
        for path in self._root.iterdir() if self._root.is_dir() else ():
            with contextlib.suppress(FileNotFoundError):
                status = (path / "spool").stat()
                yield KeptContext(path.name, path, status.st_size, _used_ns(path), path.name in self._taken)


def _used_ns(directory: Path) -> int:
    try:
        return (directory / "index").stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def _id_of(token: str) -> str:
    """The id of a token's context, "" for what is no token: it becomes a name in the file system."""
    id = token.partition(".")[0]
    return id if len(id) == 32 and id.isalnum() and id.isascii() else ""
