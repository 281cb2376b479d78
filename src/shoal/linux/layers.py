"""Show the content of an image's layers, or a part of it, read-only inside a root.

Used by the child that sets up a container, and by shoald for containers that do not run. Blocks; needs root.
"""

from __future__ import annotations

import os
import stat

from shoal.errors import SyscallError
from shoal.linux.fd import Fd, FdLike
from shoal.linux.mounts import MNT_DETACH, MOUNT_ATTR_RDONLY, MS_PRIVATE, bind_mount, proc_path, umount2
from shoal.linux.overlay import mount_overlay
from shoal.linux.rootfs import create_file_in_root, mkdir_in_root, open_in_root


def mount_layers(root_fd: FdLike, target: str, layers: list[str], subpath: str = "") -> None:
    """Mount `layers`, top first, at `target` of the root behind `root_fd`; with `subpath` that part of them.

    The part is looked up with the layers as "/", so that a link in the image leads to a place inside it.

    Raises: SyscallError, ENOENT where there is no such part.
    """
    if len(layers) == 1:
        with _open_directory(layers[0]) as content:
            _bind_part(content, subpath, root_fd, target)
        return
    if not subpath:
        with mkdir_in_root(root_fd, target, 0o755) as place:
            mount_overlay(place, lower=layers, attrs=MOUNT_ATTR_RDONLY).close()
        return
    # A part of a mount can be bound only where the mount is attached. So it lies over the root for a moment: our
    # descriptor of the root still leads below it.
    with mount_overlay(root_fd, lower=layers, attrs=MOUNT_ATTR_RDONLY) as content:
        try:
            _bind_part(content, subpath, root_fd, target)
        finally:
            umount2(proc_path(content), MNT_DETACH)


def _bind_part(content: Fd, subpath: str, root_fd: FdLike, target: str) -> None:
    with open_in_root(content, subpath or ".", os.O_PATH) as part:
        is_directory = stat.S_ISDIR(os.fstat(part.fileno()).st_mode)
        make = mkdir_in_root if is_directory else create_file_in_root
        with make(root_fd, target, 0o755 if is_directory else 0o644) as place:
            bind_mount(part, place, recursive=False, readonly="mount", propagation=MS_PRIVATE, object=target).close()


def _open_directory(path: str) -> Fd:
    try:
        return Fd(os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))
    except OSError as error:
        raise SyscallError("open", path, error.errno or 0) from None
