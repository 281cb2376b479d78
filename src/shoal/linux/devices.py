"""Device nodes and the links of a container's /dev.

Used by the child that sets up a container, before pivot_root. OCI runtime-spec §Default Devices,
Documentation/admin-guide/devices.txt.
"""

from __future__ import annotations

import errno
import os
import stat

from shoal.errors import InvalidArgument, SyscallError
from shoal.linux.fd import FdLike
from shoal.linux.mounts import bind_mount
from shoal.linux.rootfs import create_file_in_root, mkdir_in_root

# name, major, minor: all of them character devices of mode 0666.
DEFAULT_DEVICES = (
    ("null", 1, 3),
    ("zero", 1, 5),
    ("full", 1, 7),
    ("random", 1, 8),
    ("urandom", 1, 9),
    ("tty", 5, 0),
)
DEFAULT_DEVICE_MODE = 0o666

# path, target. /dev/core is what Docker adds to the specification's list.
DEFAULT_SYMLINKS = (
    ("/dev/fd", "/proc/self/fd"),
    ("/dev/stdin", "/proc/self/fd/0"),
    ("/dev/stdout", "/proc/self/fd/1"),
    ("/dev/stderr", "/proc/self/fd/2"),
    ("/dev/ptmx", "pts/ptmx"),
    ("/dev/core", "/proc/kcore"),
)

_KINDS = {"c": stat.S_IFCHR, "u": stat.S_IFCHR, "b": stat.S_IFBLK, "p": stat.S_IFIFO}


def make_device(
    root_fd: FdLike,
    path: str,
    kind: str,
    major: int,
    minor: int,
    mode: int = DEFAULT_DEVICE_MODE,
    uid: int = 0,
    gid: int = 0,
) -> None:
    """Make the device node `path` inside the root, with exactly these permissions and this owner.

    `kind` is "c", "u" (the same), "b", or "p" for a FIFO. A file that is there already is replaced. Where
    mknod is not allowed (user namespaces) the host's node of that path is bound instead.

    Raises: SyscallError; InvalidArgument for another kind.
    """
    if kind not in _KINDS:
        raise InvalidArgument(f"invalid device type {kind!r} for {path}", why="it is one of c, b, u, p")
    directory, _, name = path.rpartition("/")
    with mkdir_in_root(root_fd, directory) as parent:
        try:
            _make_node(parent.fileno(), name, _KINDS[kind] | mode, os.makedev(major, minor))
            os.chown(name, uid, gid, dir_fd=parent.fileno(), follow_symlinks=False)
        except OSError as error:
            if error.errno != errno.EPERM:
                raise SyscallError("mknodat", path, error.errno or 0) from None
            bind_device(root_fd, path, path)


def _make_node(directory: int, name: str, mode: int, device: int) -> None:
    """mknod that replaces what is there, and undoes the umask.

    Raises: OSError.
    """
    try:
        os.mknod(name, mode, device, dir_fd=directory)
    except FileExistsError:
        os.unlink(name, dir_fd=directory)
        os.mknod(name, mode, device, dir_fd=directory)
    # follow_symlinks does not exist for chmod on Linux; the node was made just now, in a directory that
    # nobody else can write to yet, so it is no link.
    os.chmod(name, stat.S_IMODE(mode), dir_fd=directory)


def bind_device(root_fd: FdLike, path: str, source: str) -> None:
    """Bind the host's device node `source` to `path` inside the root.

    Raises: SyscallError.
    """
    with create_file_in_root(root_fd, path, 0o666) as place:
        bind_mount(source, place, recursive=False, object=path).close()


def make_default_devices(root_fd: FdLike) -> None:
    """Make the devices that every container has, with root as their owner.

    Raises: SyscallError.
    """
    try:
        with mkdir_in_root(root_fd, "/dev") as directory:
            _make_default_nodes(directory.fileno())
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EEXIST):
            raise SyscallError("mknodat", "/dev", error.errno or 0) from None
        # mknod is not allowed, or the image brings its own: the long way.
        for name, major, minor in DEFAULT_DEVICES:
            make_device(root_fd, f"/dev/{name}", "c", major, minor)


def fill_device_directory(directory: int) -> None:
    """Make the devices and links that every container has in an empty directory, the /dev of one to come.

    Raises: OSError (EPERM: mknod is not allowed here).
    """
    _make_default_nodes(directory)
    for path, target in DEFAULT_SYMLINKS:
        os.symlink(target, path.removeprefix("/dev/"), dir_fd=directory)


def _make_default_nodes(directory: int) -> None:
    # Without the umask a node is right at once: two calls less for each of them.
    umask = os.umask(0)
    try:
        for name, major, minor in DEFAULT_DEVICES:
            os.mknod(name, stat.S_IFCHR | DEFAULT_DEVICE_MODE, os.makedev(major, minor), dir_fd=directory)
    finally:
        os.umask(umask)


def default_symlinks(root_fd: FdLike) -> None:
    """Make the symbolic links that every container's /dev has; existing files stay.

    Raises: SyscallError.
    """
    with mkdir_in_root(root_fd, "/dev") as directory:
        for path, target in DEFAULT_SYMLINKS:
            try:
                os.symlink(target, path.removeprefix("/dev/"), dir_fd=directory.fileno())
            except FileExistsError:
                pass  # the image brings its own
            except OSError as error:
                raise SyscallError("symlinkat", path, error.errno or 0) from None
