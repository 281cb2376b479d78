"""Steps that show a container its cgroups at /sys/fs/cgroup."""

from __future__ import annotations

import errno
import os

from shoal.errors import SyscallError
from shoal.linux.filesystems import mount_filesystem
from shoal.linux.libc import AT_FDCWD
from shoal.linux.mounts import (
    MOUNT_ATTR_NODEV,
    MOUNT_ATTR_NOEXEC,
    MOUNT_ATTR_NOSUID,
    MOUNT_ATTR_RDONLY,
    MS_PRIVATE,
    OPEN_TREE_CLONE,
    bind_mount,
    make_readonly,
    mount_setattr,
    move_mount,
    open_tree,
)
from shoal.linux.rootfs import mkdir_in_root
from shoal.supervisor.steps.step import Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from shoal.linux.fd import Fd
    from shoal.supervisor.steps.context import Context

_SAFE = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC


class MountCgroupV1(Step):
    """A tmpfs with one directory a hierarchy, each of them the container's own cgroup of the host.

    `hierarchies` are (name, the cgroup's directory on the host, further names for links). One that has no
    cgroup for this container is left out: in the hybrid layout the v2 hierarchy may have none.
    """

    name = "cgroup-v1"
    __slots__ = ("hierarchies", "readonly", "target")

    def __init__(self, target: str, hierarchies: list[tuple[str, str, list[str]]], readonly: bool) -> None:
        self.target = target
        self.hierarchies = hierarchies
        self.readonly = readonly

    def describe(self) -> str:
        names = ", ".join(name for name, _, _ in self.hierarchies)
        return f"{names} on {self.target}" + (" (read-only)" if self.readonly else "")

    def run(self, ctx: Context) -> None:
        with mkdir_in_root(ctx.root_fd, self.target, 0o755) as place:
            tmpfs = mount_filesystem("tmpfs", place, options=["mode=755"], attrs=_SAFE, object=self.target)
        with tmpfs:
            for name, source, aliases in self.hierarchies:
                self._bind(tmpfs.fileno(), name, source, aliases)
            if self.readonly:
                # Now that the directories are made in it.
                make_readonly(tmpfs)

    def _bind(self, directory: int, name: str, source: str, aliases: list[str]) -> None:
        try:
            if not self._bind_at_once(directory, name, source):
                return
            for alias in aliases:
                os.symlink(name, alias, dir_fd=directory)
        except OSError as error:
            raise SyscallError("mkdirat", f"{self.target}/{name}", error.errno or 0) from None

    def _bind_at_once(self, directory: int, name: str, source: str) -> bool:
        """One call for all attributes, and the target by its name: there are ten of these in every container.

        False when the container has no cgroup there.
        """
        try:
            with open_tree(AT_FDCWD, source, OPEN_TREE_CLONE) as tree:
                os.mkdir(name, 0o755, dir_fd=directory)
                attributes = _SAFE | (MOUNT_ATTR_RDONLY if self.readonly else 0)
                mount_setattr(tree, attr_set=attributes, propagation=MS_PRIVATE)
                move_mount(tree, directory, to_path=name, object=f"{self.target}/{name}")
            return True
        except SyscallError as error:
            if error.errno == errno.ENOENT:
                return False
            if error.errno != errno.ENOSYS:
                raise
        # Before Linux 5.12, which brought mount_setattr.
        if not os.path.isdir(source):
            return False
        with mkdir_in_root(directory, name, 0o755) as place:
            bind_mount(
                source,
                place,
                recursive=False,
                readonly="mount" if self.readonly else "no",
                propagation=MS_PRIVATE,
                attrs=_SAFE,
                object=f"{self.target}/{name}",
            ).close()
        return True


class MountCgroupV2(Step):
    """The one hierarchy of cgroup v2: with a cgroup namespace (`own_root`) its root is the container's cgroup.

    Without one the mount at `host` is bound: a new mount from the first cgroup namespace would set the options of
    the hierarchy itself, and take `nsdelegate` and `memory_recursiveprot` from the whole machine. Bound it is too
    where a new mount is refused (a container in a container: EPERM, EBUSY).
    """

    name = "cgroup-v2"
    __slots__ = ("host", "own_root", "readonly", "target")

    def __init__(self, target: str, host: str, readonly: bool, own_root: bool) -> None:
        self.target = target
        self.host = host
        self.readonly = readonly
        self.own_root = own_root

    def describe(self) -> str:
        return f"cgroup2 on {self.target}" + (" (read-only)" if self.readonly else "")

    def run(self, ctx: Context) -> None:
        with mkdir_in_root(ctx.root_fd, self.target, 0o755) as place:
            if not (self.own_root and self._mount(place)):
                bind_mount(
                    self.host,
                    place,
                    recursive=False,
                    readonly="mount" if self.readonly else "no",
                    propagation=MS_PRIVATE,
                    attrs=_SAFE,
                    object=self.target,
                ).close()

    def _mount(self, place: Fd) -> bool:
        """Whether the kernel let us mount it anew."""
        attributes = _SAFE | (MOUNT_ATTR_RDONLY if self.readonly else 0)
        try:
            mount_filesystem("cgroup2", place, source="cgroup", attrs=attributes, object=self.target).close()
        except SyscallError as error:
            if error.errno not in (errno.EPERM, errno.EBUSY):
                raise
            return False
        return True
