"""What COPY and ADD bring where: sources and a destination made into a list of entries, and the list's digest. Pure.

    patterns ─ sources ─▶ paths in a tree ─ place ─▶ items: entry, target ─ digest ─▶ the key's part
                                                                       └─ layer_writing.py ─▶ files

Source: Dockerfile reference §COPY.
"""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from shoal.build.dockerfile.modes import Mode
from shoal.build.dockerfile.paths import has_wildcards
from shoal.build.files import Files, clean, leads_out, matching, resolve
from shoal.errors import InvalidArgument
from shoal.oci.file_entry import FileEntry


class Item(NamedTuple):
    """One entry to be made at `target` out of the entry `source` of `files`."""

    target: bytes
    files: Files
    source: bytes
    entry: FileEntry
    is_top: bool = False  # the directory that the destination itself is: where there is one, it stays as it is


class Source(NamedTuple):
    """A source that was found: where it is, the name that it was found by, and what `--parents` keeps of its path."""

    path: bytes
    name: bytes
    kept: bytes = b""


@dataclass(frozen=True, slots=True)
class Attributes:
    """What COPY's flags make of owners and modes: None for as they are."""

    owner: tuple[int, int] | None = None
    mode: Mode | None = None

    def applied(self, entry: FileEntry) -> FileEntry:
        """The entry as it is to be."""
        uid, gid = self.owner if self.owner is not None else (entry.uid, entry.gid)
        mode = entry.mode
        if self.mode is not None and not entry.is_link:
            mode = stat.S_IFMT(mode) | self.mode.applied_to(stat.S_IMODE(mode), is_directory=entry.is_directory)
        return FileEntry(mode, uid, gid, *entry[3:])


def find_sources(
    files: Files, path: str, *, command: str, parents: bool = False, outside: bool = False
) -> list[Source]:
    """What the source `path` names, links resolved; `outside` allows `..`, which stops at the root.

    A pattern that nothing matches names nothing.

    Raises: InvalidArgument, in Docker's words, where it leads out of the context or where nothing is there.
    """
    if leads_out(path) and not outside:
        raise InvalidArgument(
            f"{command} failed: forbidden path outside the build context: {path} ()",
            fix="copy it into the context's directory, or build with a directory above as the context",
        )
    if has_wildcards(path):
        return [
            Source(resolve(files, match), _name(match), _kept(match, path) if parents else b"")
            for match in matching(files, path)
        ]
    resolved = resolve(files, clean(path))
    if files.find(resolved) is None and resolved:
        raise InvalidArgument(
            f"{command} failed: file not found in build context or excluded by .dockerignore: "
            f"stat {path.lstrip('/')}: file does not exist"
        )
    return [Source(resolved, _name(clean(path)), _kept(clean(path), path) if parents else b"")]


def _name(path: bytes) -> bytes:
    return path.rpartition(b"/")[2]


def _kept(path: bytes, written: str) -> bytes:
    """The part of a source's path that `--parents` keeps: all of it, or what stands behind `/./`."""
    pivot = written.find("/./")
    if pivot >= 0:
        path = path[len(clean(written[:pivot])) :].lstrip(b"/")
    return path


def place(
    files: Files,
    sources: Sequence[Source],
    destination: bytes,
    *,
    into: bool,
    attributes: Attributes,
    is_excluded: Callable[[bytes], bool] | None = None,
    parents: bool = False,
) -> Iterator[Item]:
    """The items of a copy to `destination`, parents first; `into`: it is a directory that files are put into."""
    for source in sources:
        entry = files.find(source.path)
        entry = FileEntry(stat.S_IFDIR | 0o755) if entry is None else entry
        if parents:
            yield from _parents(files, source, destination, attributes)
            target = _join(destination, source.kept)
        elif into and not entry.is_directory:
            target = _join(destination, source.name)
        else:
            target = destination
        if is_excluded is None or entry.is_directory or not is_excluded(source.kept or source.name):
            is_top = entry.is_directory and not parents
            made = FileEntry(stat.S_IFDIR | 0o755) if is_top else entry  # not the source's mode, as in Docker
            yield Item(target, files, source.path, attributes.applied(made), is_top=is_top)
        if entry.is_directory:
            yield from _below(files, source.path, target, attributes, is_excluded)


def _parents(files: Files, source: Source, destination: bytes, attributes: Attributes) -> Iterator[Item]:
    parts = source.kept.split(b"/")[:-1]
    base = source.path[: len(source.path) - len(source.kept)].rstrip(b"/")
    for count in range(1, len(parts) + 1):
        kept = b"/".join(parts[:count])
        path = _join(base, kept)
        entry = files.find(resolve(files, path)) or FileEntry(stat.S_IFDIR | 0o755)
        yield Item(_join(destination, kept), files, path, attributes.applied(entry))


def _below(
    files: Files, directory: bytes, target: bytes, attributes: Attributes, is_excluded: Callable[[bytes], bool] | None
) -> Iterator[Item]:
    """What is in a directory. `is_excluded` is asked for paths from there."""
    stack = [(directory, target, iter(files.names(directory)))]
    while stack:
        source, there, names = stack[-1]
        name = next(names, None)
        if name is None:
            stack.pop()
            continue
        path, place_of = _join(source, name), _join(there, name)
        entry = files.find(path)
        if (
            entry is None
            or stat.S_ISSOCK(entry.mode)
            or (is_excluded is not None and is_excluded(path[len(directory) :].lstrip(b"/")))
        ):
            continue
        yield Item(place_of, files, path, attributes.applied(entry))
        if entry.is_directory:
            stack.append((path, place_of, iter(files.names(path))))


def _join(directory: bytes, name: bytes) -> bytes:
    return directory + b"/" + name if directory and name else directory or name


class Manifest:
    """What items are, as far as it makes a difference: their digests by target, and one of all."""

    def __init__(self, items: Iterable[Item], latest_ns: int = 0) -> None:
        """Times are in the entries alone; those later than `latest_ns` are that."""
        self.entries: dict[bytes, str] = {}
        hasher = hashlib.sha256()
        for item in items:
            line = _line(item)
            self.entries[item.target] = f"{line} {min(item.entry.mtime_ns, latest_ns)}"
            hasher.update(item.target + b"\0" + line.encode() + b"\n")
        self.digest = hasher.hexdigest()


def _line(item: Item) -> str:
    """Kind, mode, owner and content; no time, so that a new checkout is the same."""
    entry = item.entry
    content = ""
    if entry.is_file:
        content = item.files.digest(item.source)
    elif entry.is_link:
        content = entry.target.hex()
    elif not entry.is_directory:
        content = str(entry.device)
    xattrs = hashlib.sha256(repr(sorted(entry.xattrs.items())).encode()).hexdigest()[:16] if entry.xattrs else ""
    return f"{entry.mode:o} {entry.uid}:{entry.gid} {content} {xattrs}"
