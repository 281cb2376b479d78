"""The root file system of Debian 12, made by mmdebstrap once and kept as a tar for the next demo."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass

from shoal.cli.bootstrap.debian import build_debian
from shoal.errors import Internal, Unavailable

SUITE = "bookworm"
_READ_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class RootTar:
    """A tar of a root file system. `build_s`: how long mmdebstrap took; None where the tar was there already."""

    path: str
    size_bytes: int
    diff_id: str
    created: str
    build_s: float | None


def debian_root(cache_dir: str, show: Callable[[str], None]) -> RootTar:
    """The tar, from `cache_dir` or built now. Two demos that share the directory build it once.

    Raises: Unavailable when mmdebstrap fails, with its last words.
    """
    try:
        os.makedirs(cache_dir, exist_ok=True)
    except OSError as error:
        raise Unavailable(
            f"can't use {cache_dir}", why=error.strerror or "", fix="shoal demo --cache-dir DIR"
        ) from None
    tar_path = os.path.join(cache_dir, f"debian-{SUITE}.tar")
    with open(tar_path + ".lock", "w", encoding="ascii") as lock:
        show(f"waiting for another demo that builds {tar_path}")
        fcntl.flock(lock, fcntl.LOCK_EX)
        known = _known(tar_path)
        if known is not None:
            return known
        started = time.monotonic()
        partial = f"{tar_path}.partial"
        try:
            build_debian(SUITE, partial, cache_dir, lambda text: show(f"building debian:{SUITE} (once): {text}"))
            show("computing the layer's digest")
            _describe(tar_path, partial)
            os.replace(partial, tar_path)
        finally:
            if os.path.exists(partial):
                os.unlink(partial)
        built = _known(tar_path)
        if built is None:
            raise Internal(f"{tar_path} vanished while it was built", fix="run the demo again")
        return RootTar(built.path, built.size_bytes, built.diff_id, built.created, time.monotonic() - started)


def _known(tar_path: str) -> RootTar | None:
    """The tar of an earlier run, if it is whole: its size is the one that was noted."""
    try:
        with open(f"{tar_path}.json", encoding="ascii") as file:
            noted = json.load(file)
        size = os.stat(tar_path).st_size
        if noted["size"] != size:
            return None
        return RootTar(tar_path, size, str(noted["diff_id"]), str(noted["created"]), None)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _describe(tar_path: str, partial: str) -> None:
    digest = hashlib.sha256()
    with open(partial, "rb") as file:
        while chunk := file.read(_READ_BYTES):
            digest.update(chunk)
        size = file.tell()
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    with open(f"{tar_path}.json", "w", encoding="ascii") as file:
        json.dump({"size": size, "diff_id": f"sha256:{digest.hexdigest()}", "created": created}, file)
