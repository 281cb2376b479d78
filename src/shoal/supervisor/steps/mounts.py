"""Steps that mount file systems and binds inside the container's root, before the change of root.

Every target is resolved with the container's root as "/" and reached by descriptor: an image whose `/etc` or
`/dev` is a symbolic link to the host gets its mount inside itself (CVE-2019-16884, CVE-2021-30465).
"""

from __future__ import annotations

import errno
import os
import stat

from shoal.errors import InvalidArgument, SyscallError
from shoal.linux.fd import Fd
from shoal.linux.filesystems import mount_filesystem
from shoal.linux.layers import mount_layers
from shoal.linux.libc import AT_FDCWD, AT_RECURSIVE
from shoal.linux.mounts import (
    MS_PRIVATE,
    OPEN_TREE_CLONE,
    attach_tree,
    bind_mount,
    move_mount,
    open_tree,
)
from shoal.linux.namespaces import CLONE_NEWNS, namespace_fd, setns
from shoal.linux.rootfs import create_file_in_root, mkdir_in_root, open_in_root
from shoal.supervisor.steps.step import Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from shoal.supervisor.steps.context import Context

# Further steps rely on what these show, by their paths.
_NEVER_BEHIND_LINKS = ("proc", "sysfs")
_WRONG_TYPE_HINT = (
    "Are you trying to mount a directory onto a file (or vice-versa)? "
    "Check if the specified host path exists and is the expected type"
)


class MountFilesystem(Step):
    """Mounts a new file system: proc, sysfs, tmpfs, devpts, mqueue, cgroup2."""

    name = "mount"
    __slots__ = ("attributes", "fstype", "options", "source", "target")

    def __init__(
        self,
        fstype: str,
        target: str,
        *,
        source: str = "",
        options: list[str] | None = None,
        attributes: int = 0,
    ) -> None:
        self.fstype = fstype
        self.target = target
        self.source = source
        self.options = options or []
        self.attributes = attributes

    def describe(self) -> str:
        words = [*self.options, *([f"attributes {self.attributes:#x}"] if self.attributes else [])]
        return f"{self.fstype} on {self.target}" + (f" ({', '.join(words)})" if words else "")

    def run(self, ctx: Context) -> None:
        with mkdir_in_root(ctx.root_fd, self.target, 0o755) as place:
            if self.fstype in _NEVER_BEHIND_LINKS:
                self._refuse_link(ctx.root_fd)
            prepared = ctx.prepared.take(self.to_wire())
            if prepared is not None:
                with prepared:
                    move_mount(prepared, place, object=self.target)
                return
            mount_filesystem(
                self.fstype,
                place,
                source=self.source,
                options=self.options,
                attrs=self.attributes,
                object=self.target,
            ).close()

    def _refuse_link(self, root_fd: int) -> None:
        """Raises: InvalidArgument when the target is a symbolic link.

        It could lead into a volume, where another container could exchange the directory under the mount; masks and
        sysctls would then hit what lies there instead (CVE-2019-19921).
        """
        try:
            open_in_root(root_fd, self.target, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW).close()
        except SyscallError as error:
            if error.errno not in (errno.ELOOP, errno.ENOTDIR):
                raise
            raise InvalidArgument(
                f"filesystem {self.fstype!r} must be mounted on ordinary directory",
                why=f"{self.target} of the image is a symbolic link",
            ) from None


class BindMount(Step):
    """Binds a file or directory of the host; the target is made, of the source's kind, where it is missing."""

    name = "bind"
    __slots__ = ("propagation", "readonly", "recursive", "source", "target")

    def __init__(self, source: str, target: str, *, recursive: bool, readonly: str, propagation: int) -> None:
        self.source = source
        self.target = target
        self.recursive = recursive
        self.readonly = readonly
        self.propagation = propagation

    def describe(self) -> str:
        words = ["recursive"] if self.recursive else []
        words += {"no": [], "mount": ["read-only"], "recursive": ["read-only with all below"]}[self.readonly]
        return f"{self.source} on {self.target}" + (f" ({', '.join(words)})" if words else "")

    def run(self, ctx: Context) -> None:
        try:
            taken = ctx.trees.pop(self.target, -1)
            if taken >= 0:
                with Fd(taken) as tree, place_for(ctx.root_fd, self.source, self.target, taken) as place:
                    if attach_tree(tree, place, self.readonly, self.propagation, 0, self.target):
                        return
            with place_for(ctx.root_fd, self.source, self.target) as place:
                bind_mount(
                    self.source,
                    place,
                    recursive=self.recursive,
                    readonly=self.readonly,
                    propagation=self.propagation,
                    object=self.target,
                ).close()
        except SyscallError as error:
            raise in_dockers_words(error, self.source, self.target) from None


class BindSubpath(Step):
    """Binds a part of a volume, which other containers may change at any moment.

    It is looked up with the volume as "/", and bound by the descriptor that was found: a link in it leads to a
    place inside, and one that takes the part's place afterwards is not followed.
    """

    name = "bind-subpath"
    __slots__ = ("readonly", "source", "subpath", "target")

    def __init__(self, source: str, subpath: str, target: str, *, readonly: str) -> None:
        self.source = source
        self.subpath = subpath
        self.target = target
        self.readonly = readonly

    def describe(self) -> str:
        words = {"no": "", "mount": " (read-only)", "recursive": " (read-only with all below)"}[self.readonly]
        return f"{self.subpath} inside {self.source} on {self.target}{words}"

    def run(self, ctx: Context) -> None:
        taken = ctx.trees.pop(self.target, -1)
        if taken >= 0:
            with Fd(taken) as tree, place_for(ctx.root_fd, self.source, self.target, taken) as place:
                if attach_tree(tree, place, self.readonly, MS_PRIVATE, 0, self.target):
                    return
        try:
            with Fd(os.open(self.source, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)) as volume:
                part = open_in_root(volume, self.subpath, os.O_PATH)
        except OSError as error:
            raise SyscallError("open", self.source, error.errno or 0) from None
        except SyscallError as error:
            raise InvalidArgument(
                f"cannot access path {self.source}/{self.subpath}", why=os.strerror(error.errno).lower()
            ) from None
        with part:
            is_directory = stat.S_ISDIR(os.fstat(part.fileno()).st_mode)
            make = mkdir_in_root if is_directory else create_file_in_root
            with make(ctx.root_fd, self.target, 0o755 if is_directory else 0o644) as place:
                bind_mount(
                    part, place, recursive=True, readonly=self.readonly, propagation=MS_PRIVATE, object=self.target
                ).close()


class MountImage(Step):
    """Shows an image's content, or a part of it, read-only; what nobody writes to needs no upper directory."""

    name = "image"
    __slots__ = ("layers", "subpath", "target")

    def __init__(self, layers: list[str], subpath: str, target: str) -> None:
        self.layers = layers
        self.subpath = subpath
        self.target = target

    def describe(self) -> str:
        part = f"{self.subpath} inside " if self.subpath else ""
        return f"{part}{len(self.layers)} layers on {self.target}"

    def run(self, ctx: Context) -> None:
        try:
            mount_layers(ctx.root_fd, self.target, self.layers, self.subpath)
        except SyscallError as error:
            if self.subpath and error.errno == errno.ENOENT:
                raise InvalidArgument(
                    f"cannot access path {self.subpath} of the image", why="no such file or directory"
                ) from None
            raise


class ShareTree(Step):
    """Binds a directory as another container sees it: its /dev/shm, for `--ipc container:ID`.

    The mount exists in that container's mount namespace only. A copy is taken there, detached, and attached
    here. After `CutPropagation` and before the root is built, because going to the other namespace and back
    resets our root and directory.
    """

    name = "share-tree"
    __slots__ = ("path", "pid", "target")

    def __init__(self, pid: int, path: str, target: str) -> None:
        self.pid = pid
        self.path = path
        self.target = target

    def describe(self) -> str:
        return f"take {self.path} from the mount namespace of process {self.pid}, for {self.target}"

    def run(self, ctx: Context) -> None:
        with namespace_fd("self", "mnt") as home, namespace_fd(self.pid, "mnt") as other:
            setns(other, CLONE_NEWNS)
            try:
                tree = open_tree(AT_FDCWD, self.path, OPEN_TREE_CLONE | AT_RECURSIVE)
            finally:
                setns(home, CLONE_NEWNS)
        ctx.trees[self.target] = tree.detach()


def place_for(root_fd: int, source: str, target: str, tree: int = -1) -> Fd:
    """The target of a bind mount, made if missing: a directory for a directory, else an empty file.

    `tree` is a descriptor of the source, where it was taken ahead.
    """
    try:
        is_directory = stat.S_ISDIR((os.fstat(tree) if tree >= 0 else os.stat(source)).st_mode)
    except OSError as error:
        raise SyscallError("stat", source, error.errno or 0) from None
    if is_directory:
        return mkdir_in_root(root_fd, target, 0o755)
    return create_file_in_root(root_fd, target, 0o644)


def in_dockers_words(error: SyscallError, source: str, target: str) -> Exception:
    """ENOTDIR and EISDIR as the sentence that Docker has for a file on a directory; others as they are."""
    what = f'error mounting "{source}" to rootfs at "{target}"'
    if error.errno in (errno.ENOTDIR, errno.EISDIR):
        return InvalidArgument(f"{what}: {error.syscall} {error.object}: not a directory", why=_WRONG_TYPE_HINT)
    if error.errno == errno.ENOENT and error.object == source:
        return InvalidArgument(f"{what}: stat {source}", why="no such file or directory")
    return error
