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
    """Bytes on disk, and files and directories; `is_shared`: some of the files have links elsewhere, too."""

    size_bytes: int
    inodes: int
    is_shared: bool = False

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


def allocated(path: str, counted: set[tuple[int, int]] | None = None) -> Allocation:
    """What `path` and all below it take; a file with several links counts once, what is mounted there not at all.

    `counted` are the files with several links (device and inode) that count elsewhere already; it becomes more.
    What is gone, or goes meanwhile, takes nothing. Safe while a container changes the tree. Raises: OSError.
    """
    counted = set() if counted is None else counted
    try:
        status = os.lstat(path)
        if not stat.S_ISDIR(status.st_mode):
            return own(status)
        root_fd = open_directory(path)
    except FileNotFoundError:
        return NOTHING
    size, inodes, _ = own(status)
    links: dict[int, int] = {}  # of each file that has several, how many are not seen yet
    try:
        for item in walk_tree(root_fd, skip=_AllBut(status.st_dev)):
            entry = item.status
            if entry.st_dev != status.st_dev:
                continue
            if entry.st_nlink > 1 and not stat.S_ISDIR(entry.st_mode):
                links[entry.st_ino] = links.get(entry.st_ino, entry.st_nlink) - 1
                if (entry.st_dev, entry.st_ino) in counted:
                    continue
                counted.add((entry.st_dev, entry.st_ino))
            size += entry.st_blocks * _BLOCK
            inodes += 1
    finally:
        os.close(root_fd)
    return Allocation(size, inodes, any(links.values()))


def own(status: os.stat_result) -> Allocation:
    """What the file or directory itself takes."""
    return Allocation(status.st_blocks * _BLOCK, 1)
