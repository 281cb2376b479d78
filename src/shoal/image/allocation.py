"""What files take on disk: allocated blocks, as `du` counts them, not the lengths that `ls` shows."""

from __future__ import annotations

import os
import stat
from collections.abc import Container
from dataclasses import dataclass
from typing import NamedTuple

from shoal.image.trees import open_directory, walk_tree

_BLOCK = 512  # of st_blocks, whatever the file system's own is. stat(2)


class Allocation(NamedTuple):
    """Bytes on disk, and files and directories."""

    size_bytes: int
    inodes: int

    def with_(self, other: Allocation) -> Allocation:
        """Both together."""
        return Allocation(self.size_bytes + other.size_bytes, self.inodes + other.inodes)


NOTHING = Allocation(0, 0)


@dataclass(frozen=True, slots=True)
class _AllBut(Container[int]):
    """Every device but one."""

    device: int

    def __contains__(self, device: object) -> bool:
        return device != self.device


def allocated(path: str) -> Allocation:
    """What `path` and all below it take; a file with several links counts once, what is mounted there not at all.

    What is gone, or goes meanwhile, takes nothing. Safe while a container changes the tree. Raises: OSError.
    """
    try:
        status = os.lstat(path)
        if not stat.S_ISDIR(status.st_mode):
            return own(status)
        root_fd = open_directory(path)
    except FileNotFoundError:
        return NOTHING
    size, inodes = own(status)
    linked: set[int] = set()
    try:
        for item in walk_tree(root_fd, skip=_AllBut(status.st_dev)):
            entry = item.status
            if entry.st_dev != status.st_dev:
                continue
            if entry.st_nlink > 1 and not stat.S_ISDIR(entry.st_mode):
                if entry.st_ino in linked:
                    continue
                linked.add(entry.st_ino)
            size += entry.st_blocks * _BLOCK
            inodes += 1
    finally:
        os.close(root_fd)
    return Allocation(size, inodes)


def own(status: os.stat_result) -> Allocation:
    """What the file or directory itself takes."""
    return Allocation(status.st_blocks * _BLOCK, 1)
