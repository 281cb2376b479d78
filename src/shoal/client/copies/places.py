"""What the two words of `cp` mean, and under which name a copy arrives, by the rules of Docker's client. Pure."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass

from shoal.errors import InvalidArgument


@dataclass(frozen=True, slots=True)
class Location:
    """One word of `cp`: a path in a container, or (`container` is "") one of the user's, "-" for a stream."""

    container: str
    path: str


@dataclass(frozen=True, slots=True)
class Arrival:
    """Where a copy is unpacked, and how the first component of its names changes on the way."""

    directory: str
    old_base: str
    new_base: str

    def renamed(self, name: str) -> str:
        """A name in the archive as it is to arrive."""
        old = "" if self.old_base == "/" else self.old_base
        return self.new_base + name[len(old) :] if name.startswith(old) else name


def parse_location(word: str) -> Location:
    """`CONTAINER:PATH`, or a path: what begins with `/` or `.` names no container."""
    container, colon, path = word.partition(":")
    if word.startswith("/") or not colon or container.startswith("."):
        return Location("", word)
    return Location(container, path)


def split_entry(path: str) -> tuple[str, str]:
    """Directory and last component of a path; `DIRECTORY/.` is the component "." of it, "/" is "/" of itself."""
    cleaned = posixpath.normpath(path)
    if names_content(path):
        cleaned = posixpath.join(cleaned, ".")
    directory, base = posixpath.split(cleaned)
    return directory or ".", base or "/"


def names_content(path: str) -> bool:
    """Whether a path means what is in a directory, not the directory: it ends in `/.`, or is `.`."""
    return path == "." or path.endswith("/.")


def asserts_directory(path: str) -> bool:
    """Whether a path can only mean a directory."""
    return path.endswith("/") or names_content(path)


def arrival(
    source: str, target: str, *, is_directory: bool, rename: str = "", target_is_directory: bool | None
) -> Arrival:
    """How what is at `source` arrives at `target`, which is a directory, something else, or (None) not there yet.

    `rename` is the name that it keeps though `source` is where a link of that name led.

    Raises: InvalidArgument for a directory over a file, and for a file that is to become a directory.
    """
    base = split_entry(source)[1]
    if target_is_directory:
        return Arrival(target, base, rename or base)
    if target_is_directory is not None and is_directory:
        raise InvalidArgument("cannot copy directory", why=f"{target} is a file")
    if target_is_directory is None and not is_directory and asserts_directory(target):
        raise InvalidArgument("no such directory", why=target, fix=f"create {target} first")
    directory, name = split_entry(target)
    return Arrival(directory, base, name)
