"""Mount an overlay file system of any number of layers.

Used by the child that sets up a container, and by image builds. Newer kernels take the layers one by one
(`lowerdir+`, behind Linux 6.5), so the page that mount(2) has for its options is no limit any more; what
remains is the kernel's own limit of 500 layers. On older kernels layers that do not fit are named by short
/proc/self/fd paths (about 240). Documentation/filesystems/overlayfs.rst.
"""

from __future__ import annotations

import errno
import os

from shoal.errors import InvalidArgument, SyscallError, Unsupported
from shoal.linux.fd import Fd, FdLike
from shoal.linux.filesystems import configure, mount_legacy
from shoal.linux.mounts import (
    FSCONFIG_STRING_MAX,
    fsconfig_create,
    fsconfig_set_flag,
    fsconfig_set_string,
    fsmount,
    fsopen,
    move_mount,
    proc_path,
)

# mount(2) copies one page of options, its NUL included.
_PAGE_BYTES = 4096
# The options of a container's overlay, whatever the kernel's defaults: a redirect, or a copy without data, would make
# the upper directory unreadable by itself, and it is read so by diff, commit and df.
# Documentation/filesystems/overlayfs.rst
SELF_CONTAINED = ("redirect_dir=off", "metacopy=off")


def mount_overlay(
    target_fd: FdLike,
    *,
    lower: list[str] | tuple[str, ...],
    upper: str | None = None,
    work: str | None = None,
    options: list[str] | tuple[str, ...] = (),
    attrs: int = 0,
) -> Fd:
    """The root of a new overlay, mounted over the place behind the O_PATH descriptor `target_fd`.

    `lower` is top first. Without `upper` and `work` (both on one file system) it is read-only and needs two
    layers. The result can serve as a root descriptor; closing it leaves the mount.

    Raises: SyscallError; InvalidArgument for layers that make no overlay; Unsupported for too many on Linux <
    6.5.
    """
    if not lower or (upper is None) != (work is None) or (upper is None and len(lower) < 2):
        raise InvalidArgument(
            "invalid overlay layers", why="it takes lower layers, and upper with work, or two lower layers"
        )
    try:
        with fsopen("overlay") as fs_fd:
            if looks_at_options(fs_fd):
                return _mount_by_layers(fs_fd, target_fd, lower, upper, work, options, attrs)
    except SyscallError as error:
        # ENOSYS: no fsopen (Linux < 5.2, or a filter). EINVAL of the first option: no `lowerdir+`.
        if error.errno != errno.ENOSYS and not (error.errno == errno.EINVAL and error.object.startswith("lowerdir+=")):
            raise
    return mount_overlay_legacy(target_fd, lower, upper, work, options, attrs)


def looks_at_options(fs_fd: Fd) -> bool:
    """Whether the overlay behind that new fsopen descriptor judges an option when it is set.

    Before Linux 6.5 fsconfig(2) only collects the options of an overlay in the page that mount(2) has, takes any
    word, `lowerdir+` too, and the mount fails in the end. Where the answer is no, the descriptor is spoilt.

    Raises: SyscallError.
    """
    try:
        fsconfig_set_flag(fs_fd, "shoal")  # no option of any overlay
    except SyscallError as error:
        if error.errno != errno.EINVAL:
            raise
        return True
    return False


def _mount_by_layers(
    fs_fd: Fd,
    target_fd: FdLike,
    lower: list[str] | tuple[str, ...],
    upper: str | None,
    work: str | None,
    options: list[str] | tuple[str, ...],
    attrs: int,
) -> Fd:
    fsconfig_set_string(fs_fd, "source", "overlay")
    for path in lower:
        _set_layer(fs_fd, "lowerdir+", path)
    if upper is not None and work is not None:
        _set_layer(fs_fd, "upperdir", upper)
        _set_layer(fs_fd, "workdir", work)
    configure(fs_fd, "", options)
    fsconfig_create(fs_fd, "overlay")
    with fsmount(fs_fd, attrs, "overlay") as tree:
        move_mount(tree, target_fd, object="overlay")
        return Fd(tree.detach())


def _set_layer(fs_fd: Fd, key: str, path: str) -> None:
    """Set one layer, through a descriptor where its path is longer than fsconfig takes.

    Or holds a backslash, which is an escape in some of these options and stands for itself in others.
    """
    if len(os.fsencode(path)) <= FSCONFIG_STRING_MAX and "\\" not in path:
        fsconfig_set_string(fs_fd, key, path)
        return
    with _open_layer(path) as layer:
        fsconfig_set_string(fs_fd, key, proc_path(layer))


def _open_layer(path: str) -> Fd:
    try:
        return Fd(os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))
    except OSError as error:
        raise SyscallError("open", path, error.errno or 0) from None


def mount_overlay_legacy(
    target_fd: FdLike,
    lower: list[str] | tuple[str, ...],
    upper: str | None,
    work: str | None,
    options: list[str] | tuple[str, ...],
    attrs: int,
) -> Fd:
    """mount_overlay by mount(2), for kernels before 6.5.

    Raises: SyscallError; Unsupported when the layers do not fit into a page even by their short names.
    """
    opened: list[Fd] = []
    try:
        data = overlay_data(lower, upper, work, options)
        if len(os.fsencode(data)) >= _PAGE_BYTES:
            opened = [_open_layer(path) for path in lower]
            data = overlay_data([proc_path(fd) for fd in opened], upper, work, options)
        if len(os.fsencode(data)) >= _PAGE_BYTES:
            raise Unsupported(
                f"an overlay of {len(lower)} layers does not fit into one page of mount options",
                why="Linux before 6.5 has no other way",
                fix="flatten the image, or upgrade the kernel",
            )
        return mount_legacy("overlay", target_fd, "overlay", [data], attrs)
    except SyscallError as error:
        # Of all the paths in one option string mount(2) names none.
        gone = next((path for path in (*lower, upper, work) if path is not None and not os.path.isdir(path)), None)
        if error.errno != errno.ENOENT or gone is None:
            raise
        raise SyscallError(error.syscall, gone, error.errno) from None
    finally:
        for fd in opened:
            fd.close()


def overlay_data(
    lower: list[str] | tuple[str, ...],
    upper: str | None,
    work: str | None,
    options: list[str] | tuple[str, ...],
) -> str:
    """The options of mount(2) for an overlay, with special characters in the paths escaped."""
    parts = ["lowerdir=" + ":".join(_escaped(path) for path in lower)]
    if upper is not None and work is not None:
        parts += [f"upperdir={_escaped(upper, colon=False)}", f"workdir={_escaped(work, colon=False)}"]
    return ",".join([*parts, *options])


def _escaped(path: str, *, colon: bool = True) -> str:
    """`path` with what separates options (and layers) escaped; the backslash first, as it is the escape."""
    path = path.replace("\\", "\\\\").replace(",", "\\,")
    return path.replace(":", "\\:") if colon else path
