"""From a container's files to a tar stream, in constant memory. Safe while the container runs: all is by descriptor."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Container

from shoal.image.copies.places import Place
from shoal.image.snapshot.diff import LayerWriter
from shoal.image.trees import open_directory, walk_tree
from shoal.linux.fd import Fd

Write = Callable[[bytes | memoryview], object]


def write_place(place: Place, write: Write, *, skip: Container[int] = ()) -> None:
    """Write an archive of `place`, with all below it where it is a directory. Sockets are left out.

    A directory on one of the devices in `skip` is archived as an empty one.

    Raises: OSError; what `write` raises.
    """
    writer = LayerWriter(write)
    title = b"" if place.title == "/" else os.fsencode(place.title)
    if stat.S_ISDIR(place.status.st_mode):
        # O_NOFOLLOW is in it: a directory that has become a link meanwhile is refused.
        directory = open_directory(place.name, place.parent.fileno())
        try:
            writer.add(title, directory, b".")
            for item in walk_tree(directory, skip=skip):
                writer.add(title + b"/" + item.path, item.parent_fd, item.name)
        finally:
            os.close(directory)
    else:
        writer.add(title, place.parent.fileno(), place.name)
    writer.close()


def write_root(root: Fd, write: Write) -> None:
    """Write an archive of everything below `root`, by relative names. Raises: OSError; what `write` raises."""
    writer = LayerWriter(write)
    directory = open_directory(b".", root.fileno())
    try:
        for item in walk_tree(directory):
            writer.add(item.path, item.parent_fd, item.name)
    finally:
        os.close(directory)
    writer.close()
