"""Layers for the tests: built entry by entry, unpacked into real directories, and described for comparison."""

from __future__ import annotations

import io
import os
import sqlite3
import stat
from collections.abc import Iterable
from pathlib import Path

from shoal.image.skeleton import rebuild
from shoal.image.store import ImageStore
from shoal.image.tar.compression import decompressed, read_chunks
from shoal.image.tar.header import CHARACTER, DIRECTORY, FIFO, HARD_LINK, SYMLINK, TarEntry
from shoal.image.tar.writer import TarWriter

Part = tuple[TarEntry, bytes]
# VFS_CAP_REVISION_2 with cap_net_raw permitted and effective: capabilities(7), linux/capability.h.
NET_RAW = bytes.fromhex("0100000200200000000000000000000000000000")


def directory(name: str, **facts: object) -> Part:
    """A directory entry."""
    return TarEntry(name.encode() + b"/", DIRECTORY, **{"mode": 0o755, **facts}), b""  # type: ignore[arg-type]


def file(name: str, data: bytes = b"", **facts: object) -> Part:
    """A file entry."""
    return TarEntry(os.fsencode(name), size=len(data), **facts), data  # type: ignore[arg-type]


def symlink(name: str, target: str) -> Part:
    """A symbolic link entry."""
    return TarEntry(name.encode(), SYMLINK, mode=0o777, linkname=target.encode()), b""


def hard_link(name: str, target: str) -> Part:
    """A hard link entry."""
    return TarEntry(name.encode(), HARD_LINK, linkname=target.encode()), b""


def device(name: str, major: int, minor: int) -> Part:
    """A character device entry."""
    return TarEntry(name.encode(), CHARACTER, major=major, minor=minor), b""


def fifo(name: str) -> Part:
    """A FIFO entry."""
    return TarEntry(name.encode(), FIFO), b""


def layer(*parts: Part) -> bytes:
    """The tar of these entries."""
    out = io.BytesIO()
    writer = TarWriter(out.write)
    for entry, data in parts:
        writer.add(entry, (data,) if data else ())
    writer.close()
    return out.getvalue()


# Everything that a layer can hold, below the directory `all`.
EVERYTHING = (
    directory("all", mode=0o750, uid=10, gid=20, mtime_ns=1600000000 * 10**9 + 5),
    file("all/plain", b"x" * 70_000, mode=0o640, uid=1000, gid=1001, mtime_ns=1700000000123456789),
    file("all/set-uid", b"#!", mode=0o4755, uid=1),
    file("all/ping", b"ELF", mode=0o755, xattrs={b"security.capability": NET_RAW, b"user.note": b"\0\n="}),
    file("all/" + "n" * 200, b"long name"),
    file("all/\udcff\udcfe", b"no UTF-8"),
    file("all/empty"),
    file("all/before", b"1970", mtime_ns=-5 * 10**9),
    hard_link("all/same", "all/plain"),
    symlink("all/link", "/etc/passwd"),
    device("all/null", 1, 3),
    fifo("all/pipe"),
    directory("all/sticky", mode=0o1777),
    directory("all/set-gid", mode=0o2775, gid=50),
    file("all/set-gid/inner", b"owner kept", gid=7),
)


def open_store(root: Path, driver: str | None = None) -> ImageStore:
    """A store under `root`, with its database beside it."""
    root.mkdir(parents=True, exist_ok=True)
    return ImageStore(root, lambda: connect(root / "db"), driver=driver)


def connect(path: Path) -> sqlite3.Connection:
    """A connection as the daemon makes it."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("PRAGMA foreign_keys=ON")
    return connection


def leftovers(root: Path) -> list[str]:
    """What lies in the store's scratch directory, besides the empty trash."""
    scratch = root / "tmp" / "image"
    return sorted(str(path.relative_to(scratch)) for path in scratch.rglob("*") if path.name != "trash")


def describe(root: Path, below: str = "") -> dict[str, tuple[object, ...]]:
    """All that is to be seen of a tree, path by path: kind, mode, owner, content, times, xattrs, link groups."""
    inodes: dict[int, str] = {}
    found = {}
    for path in sorted(_paths(root / below)):
        status = path.lstat()
        name = str(path.relative_to(root))
        first = inodes.setdefault(status.st_ino, name) if not path.is_dir() or path.is_symlink() else name
        found[name] = (
            stat.filemode(status.st_mode),
            (status.st_uid, status.st_gid),
            0 if stat.S_ISCHR(status.st_mode) and not status.st_rdev else status.st_mtime_ns,  # a whiteout has no time
            status.st_rdev,
            _content(path, status),
            _xattrs(path),
            first,
        )
    return found


def _paths(root: Path) -> Iterable[Path]:
    yield root
    if root.is_dir() and not root.is_symlink():
        for child in root.iterdir():
            yield from _paths(child)


def _content(path: Path, status: os.stat_result) -> object:
    if stat.S_ISLNK(status.st_mode):
        return os.readlink(path)
    return path.read_bytes() if stat.S_ISREG(status.st_mode) else None


def _xattrs(path: Path) -> dict[str, bytes]:
    names = os.listxattr(path, follow_symlinks=False)
    return {name: os.getxattr(path, name, follow_symlinks=False) for name in names if "overlay" not in name}


def kept_archive(directory: Path) -> bytes:
    """The archive of the layer in `directory`, from what was kept of it."""
    whole = directory / "archive"
    with (whole if whole.exists() else directory / "skeleton").open("rb") as file:
        chunks = decompressed(read_chunks(file)) if whole.exists() else rebuild(file, str(directory / "diff"))
        return b"".join(chunks)
