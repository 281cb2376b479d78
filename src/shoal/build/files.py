"""Trees of files that a build reads: the context, other stages, other images; and finding things in them. Pure.

Paths are bytes relative to the tree's root, without `.`, `..` or links on their way, unless a function says otherwise.
Nothing here leads out of a tree: links are resolved with its root as "/".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from shoal.build.dockerfile.paths import PathPattern
from shoal.errors import InvalidArgument
from shoal.oci.file_entry import FileEntry

_LINKS_MAX = 40


class Files(Protocol):
    """A tree that does not change while it is read."""

    def find(self, path: bytes) -> FileEntry | None:
        """The entry at `path`, or None; a link is not followed."""

    def names(self, path: bytes) -> Sequence[bytes]:
        """The sorted names in the directory `path`."""

    def digest(self, path: bytes) -> str:
        """The sha256 of the content of the file at `path`."""

    def copy(self, path: bytes, fd: int) -> None:
        """Write the content of the file at `path` to `fd`. Raises: OSError."""

    def head(self, path: bytes, count: int) -> bytes:
        """The first `count` bytes of the file at `path`."""


def clean(path: str) -> bytes:
    """`path` lexically cleaned and relative to the root, above which nothing is."""
    parts: list[bytes] = []
    for part in path.encode("utf-8", "surrogateescape").split(b"/"):
        if part == b"..":
            parts = parts[:-1]
        elif part not in (b"", b"."):
            parts.append(part)
    return b"/".join(parts)


def leads_out(path: str) -> bool:
    """Whether a relative `path` names something above where it starts."""
    depth = 0
    for part in path.lstrip("/").split("/"):
        if part == "..":
            depth -= 1
        elif part not in ("", "."):
            depth += 1
        if depth < 0:
            return True
    return False


def resolve(files: Files, path: bytes, *, follow_last: bool = True) -> bytes:
    """`path` with every link in it resolved; what is not there stays as it is written.

    Raises: InvalidArgument for links in a circle.
    """
    pending = path.split(b"/")[::-1]
    done: list[bytes] = []
    links = 0
    while pending:
        part = pending.pop()
        if part in (b"", b"."):
            continue
        if part == b"..":
            done = done[:-1]
            continue
        here = b"/".join([*done, part])
        entry = files.find(here)
        if entry is None or not entry.is_link or not (pending or follow_last):
            done.append(part)
            continue
        links += 1
        if links > _LINKS_MAX:
            raise InvalidArgument(f"too many levels of symbolic links: {path.decode(errors='replace')}")
        done = [] if entry.target.startswith(b"/") else done
        pending.extend(reversed(entry.target.split(b"/")))
    return b"/".join(done)


def matching(files: Files, pattern: str) -> Iterator[bytes]:
    """The paths that match `pattern` (Go's filepath.Match, component by component), sorted.

    Raises: InvalidArgument for a malformed pattern.
    """
    yield from _matching(files, b"", [part for part in pattern.split("/") if part not in ("", ".")])


def _matching(files: Files, directory: bytes, parts: Sequence[str]) -> Iterator[bytes]:
    if not parts:
        yield directory
        return
    pattern = PathPattern(parts[0])
    resolved = resolve(files, directory)
    for name in files.names(resolved):
        if pattern.matches(name.decode(errors="replace")):
            path = directory + b"/" + name if directory else name
            if len(parts) == 1 or ((entry := files.find(resolve(files, path))) is not None and entry.is_directory):
                yield from _matching(files, path, parts[1:])
