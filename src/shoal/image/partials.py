"""Blobs that registries have not sent to the end: kept for an hour, so that a pull goes on where it was interrupted.

    partial/<algorithm>-<hex>.<size>    the blob's first bytes (partial_blob.py)

Pulls that want the same blob share it: one fetches, the others wait, and one of them goes on where it stops. A pull
deletes its blobs when its image is there. Thread-safe.
"""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import NamedTuple

from shoal.image.failures import MORE_ROOM, DiskFull
from shoal.image.partial_blob import PartialBlob
from shoal.oci.descriptor import Descriptor
from shoal.oci.digest import algorithm_of, hex_of, parse_digest

KEPT_S = 3600.0
_UNPACKED_RATIO = 3  # what files are to their compressed archive, as a rule


class KeptBlob(NamedTuple):
    """One blob that is here, as a whole or in part; `in_use` by a pull that is at work."""

    path: str
    digest: str
    in_use: bool
    used_s: float


class Partials:
    """The blobs in the directory `root`; `clock_s` gives seconds since 1970."""

    def __init__(self, root: str, clock_s: Callable[[], float] = time.time) -> None:
        self._root = root
        self._clock_s = clock_s
        self._lock = threading.Lock()
        self._shared: dict[str, PartialBlob] = {}
        self._users: Counter[str] = Counter()
        os.makedirs(root, mode=0o700, exist_ok=True)
        self.sweep()

    @contextmanager
    def shared(self, descriptor: Descriptor) -> Iterator[PartialBlob]:
        """The blob, the same one for all who use it at the time. What there is of it stays afterwards."""
        name = _name(descriptor)
        path = os.path.join(self._root, name)
        with self._lock:
            if name not in self._shared:
                self._shared[name] = PartialBlob(path, parse_digest(descriptor.digest), descriptor.size)
            blob = self._shared[name]
            self._users[name] += 1
        try:
            yield blob
        finally:
            with self._lock, suppress(FileNotFoundError):  # nothing has come
                self._users[name] -= 1
                if not self._users[name]:
                    del self._users[name], self._shared[name]
                    if not blob.arrived_bytes:
                        os.unlink(path)
                os.utime(path, (self._clock_s(), self._clock_s()))

    def discard(self, descriptors: Iterable[Descriptor]) -> None:
        """Delete these blobs, which the caller needs no more, but those that somebody is using."""
        for descriptor in descriptors:
            self._discard(_name(descriptor))

    def without_room(self, descriptors: Sequence[Descriptor], *, unpacks: bool = True) -> DiskFull:
        """The error of a disk that these blobs, and what is unpacked of them if anything is, do not fit on."""
        packed = sum({_name(descriptor): descriptor.size for descriptor in descriptors}.values())
        status = os.statvfs(self._root)
        needed, free = packed * (1 + _UNPACKED_RATIO), status.f_bfree * status.f_frsize
        why = f"about {_megabytes(needed)} are needed ({_megabytes(packed)} of layers, and their files)"
        if not unpacks:
            why = f"{_megabytes(packed)} are needed"
        return DiskFull(
            "failed to pull image", why=f"no space left on device: {why}, {_megabytes(free)} are free", fix=MORE_ROOM
        )

    def sweep(self, *, kept_s: float = KEPT_S) -> None:
        """Delete what nobody has used for `kept_s` seconds, nor uses now."""
        before_s = self._clock_s() - kept_s
        for blob in self.blobs():
            if blob.used_s <= before_s:
                self._discard(os.path.basename(blob.path))

    def next_expiry_ns(self) -> int | None:
        """When `sweep` has something to do; None if never."""
        used_s = min((blob.used_s for blob in self.blobs() if not blob.in_use), default=None)
        return None if used_s is None else int((used_s + KEPT_S) * 10**9)

    def blobs(self) -> list[KeptBlob]:
        """What is here, those that are being fetched too."""
        found = []
        with os.scandir(self._root) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):
                    digest = entry.name.partition(".")[0].replace("-", ":", 1)
                    used_s = entry.stat(follow_symlinks=False).st_mtime
                    found.append(KeptBlob(entry.path, digest, entry.name in self._shared, used_s))
        return found

    def _discard(self, name: str) -> None:
        with self._lock, suppress(OSError):
            if name not in self._shared:
                os.unlink(os.path.join(self._root, name))


def _megabytes(size_bytes: int) -> str:
    return f"{size_bytes / 10**6:.1f}MB"


def _name(descriptor: Descriptor) -> str:
    digest = parse_digest(descriptor.digest)
    return f"{algorithm_of(digest)}-{hex_of(digest)}.{descriptor.size}"
