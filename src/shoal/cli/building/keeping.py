"""What of a context the engine has already: so that a build sends what has changed, and what is gone.

    walk ─▶ each entry's marks (kind, size, times, inode …) ─ as noted? ─▶ nothing
                                                            └ not ─────▶ sent, and noted when the engine has it

The note is a file of this machine's for each directory and engine. It holds marks, no contents; without it all is sent.
"""

from __future__ import annotations

import contextlib
import hashlib
import marshal
import os
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from shoal.client.copies.packing import pack_entries, pack_file
from shoal.errors import InvalidArgument

Marks = tuple[int, ...]

_REMOVED = ".shoal.removed"  # the engine's name for the list of what is gone
_DIRECTORY = "shoal-contexts"
_TICK_NS = 20_000_000  # files that changed later than this before the walk may change again without a trace
_AGE_S = 30 * 24 * 3600


@dataclass(slots=True)
class Note:
    """What the engine has: the token that it gave, and the marks of every entry by name."""

    file: str
    token: str = ""
    marks: dict[str, Marks] = field(default_factory=dict)

    @classmethod
    def of(cls, config_directory: str, host: str, path: str) -> Note | None:
        """The note about this directory and engine; an empty one where there is none, None where none can be made."""
        directory = os.path.join(config_directory, _DIRECTORY)
        try:
            os.makedirs(directory, mode=0o700, exist_ok=True)
        except OSError:
            return None
        if not os.access(directory, os.W_OK):
            return None
        name = hashlib.sha256(f"{host}\0{os.path.realpath(path)}".encode("utf-8", "surrogateescape")).hexdigest()[:32]
        note = cls(os.path.join(directory, name))
        # What can't be read is of no use, and replaced.
        with contextlib.suppress(OSError, ValueError, EOFError, TypeError), open(note.file, "rb") as file:
            note.token, note.marks = marshal.loads(file.read())
        return note

    def save(self) -> None:
        """Replaces the file; nothing happens where that can't be. Notes that were of no use for a month go."""
        new = f"{self.file}.{os.getpid()}"
        with contextlib.suppress(OSError):
            with open(new, "wb") as file:
                file.write(marshal.dumps((self.token, self.marks)))
            os.replace(new, self.file)
            with os.scandir(os.path.dirname(self.file)) as notes:
                for note in notes:
                    if note.stat().st_mtime < time.time() - _AGE_S:
                        os.unlink(note.path)


@dataclass(slots=True)
class Changes:
    """A directory as it is now: the marks of all, and what is not as it was noted."""

    directory: str
    marks: dict[str, Marks]
    changed: list[str]
    removed: list[str]

    def packed(self, extra: bytes) -> Iterator[bytes]:
        """The archive of what has changed, with the list of what is gone; `extra` are further entries of it."""
        if self.removed:
            yield pack_file(_REMOVED, "\0".join(self.removed).encode("utf-8", "surrogateescape"))
        yield extra
        yield from pack_entries(self.directory, self.changed)


def changes(directory: str, leaves_out: Callable[[str, bool], bool] | None, noted: dict[str, Marks]) -> Changes:
    """What has changed in `directory` since it was noted. Raises: InvalidArgument for what can't be read."""
    found = Changes(directory, {}, [], [])
    before_ns = time.time_ns() - _TICK_NS
    pending = [""]
    try:
        while pending:
            prefix = pending.pop()
            inner = []
            with os.scandir(os.path.join(directory, prefix)) as entries:
                for entry in sorted(entries, key=_name_of):
                    name = prefix + entry.name
                    status = entry.stat(follow_symlinks=False)
                    is_directory = stat.S_ISDIR(status.st_mode)
                    if stat.S_ISSOCK(status.st_mode) or (leaves_out is not None and leaves_out(name, is_directory)):
                        continue
                    marks = _marks(status)
                    if noted.get(name) != marks:
                        found.changed.append(name)
                    if status.st_ctime_ns > before_ns:
                        marks = ()
                    found.marks[name] = marks
                    if is_directory:
                        inner.append(name + "/")
            pending += reversed(inner)
    except OSError as error:
        raise InvalidArgument(f"can't read {error.filename or directory}", why=error.strerror or str(error)) from None
    found.removed = [name for name in noted if name not in found.marks]
    return found


def _name_of(entry: os.DirEntry[str]) -> str:
    return entry.name


def _marks(status: os.stat_result) -> Marks:
    """What of a file differs when it was changed, and what an image may have of it."""
    return (
        status.st_mode,
        status.st_uid,
        status.st_gid,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
        status.st_ino,
    )
