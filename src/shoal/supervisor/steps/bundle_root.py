"""Steps that make the root of a container out of a bundle's directory, as an OCI runtime does."""

from __future__ import annotations

import os

from shoal.errors import SyscallError
from shoal.linux.fd import Fd
from shoal.linux.mounts import MS_MOVE, MS_PRIVATE, MS_REC, MS_SHARED, MS_SLAVE, MS_UNBINDABLE, bind_mount, mount
from shoal.supervisor.steps.step import Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from shoal.supervisor.steps.context import Context

_WORDS = ((MS_SHARED, "shared"), (MS_SLAVE, "slave"), (MS_PRIVATE, "private"), (MS_UNBINDABLE, "unbindable"))


class SetPropagation(Step):
    """Sets the propagation of "/", alone or with all below it (`flags` with MS_REC)."""

    name = "propagation"
    __slots__ = ("flags",)

    def __init__(self, flags: int) -> None:
        self.flags = flags

    def describe(self) -> str:
        word = next(word for flag, word in _WORDS if self.flags & flag)
        return f"make / {word}" + (", recursively" if self.flags & MS_REC else "")

    def run(self, ctx: Context) -> None:
        mount("", "/", "", self.flags)


class BindBundleRoot(Step):
    """Binds the bundle's root file system, with what is mounted in it, over itself: pivot_root wants a mount."""

    name = "bundle-root"
    __slots__ = ("path",)

    def __init__(self, path: str) -> None:
        self.path = path

    def describe(self) -> str:
        return f"bind {self.path} on itself"

    def run(self, ctx: Context) -> None:
        try:
            place = Fd(os.open(self.path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))
        except OSError as error:
            raise SyscallError("open", self.path, error.errno or 0) from None
        with place:
            ctx.root_fd = bind_mount(place, place, recursive=True, object=self.path).detach()


class MoveRoot(Step):
    """Makes the container's root ours without pivot_root(2), which refuses where "/" is the initramfs.

    The host's mounts stay below it, out of reach of a path, but not of a process that may call chroot(2) and mount(2).
    """

    name = "move-root"
    __slots__ = ()

    def describe(self) -> str:
        return "move the container's root over /, chroot into it"

    def run(self, ctx: Context) -> None:
        try:
            os.fchdir(ctx.root_fd)
            mount(".", "/", "", MS_MOVE)
            os.chroot(".")
            os.chdir("/")
        except OSError as error:
            raise SyscallError("chroot", "", error.errno or 0) from None
