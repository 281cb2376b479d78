"""Steps about who the process is, by numbers alone and in user namespaces, as an OCI runtime has it."""

from __future__ import annotations

import os

from shoal.errors import SyscallError
from shoal.linux.fd import Fd
from shoal.linux.namespaces import CLONE_NEWUSER, FLAGS, setns
from shoal.supervisor.steps.accounts import home_of
from shoal.supervisor.steps.rights import give_stream
from shoal.supervisor.steps.step import Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from shoal.supervisor.steps.context import Context


class BecomeRoot(Step):
    """Becomes root of the user namespace that we are in: files that we make have no owner otherwise."""

    name = "become-root"
    __slots__ = ("drop_groups",)

    def __init__(self, *, drop_groups: bool) -> None:
        self.drop_groups = drop_groups

    def describe(self) -> str:
        return "become root of our user namespace"

    def run(self, ctx: Context) -> None:
        try:
            if self.drop_groups:
                os.setgroups([])
            os.setresgid(0, 0, 0)
            os.setresuid(0, 0, 0)
        except OSError as error:
            fix = "map user 0 and group 0 of the container"
            raise SyscallError("setresuid", "0:0", error.errno or 0, fix=fix) from None


class EnterContainer(Step):
    """Enters the namespaces (CLONE_NEW* in `flags`) of a container through its pidfd; its root is ours then."""

    name = "enter-container"
    __slots__ = ("flags",)

    def __init__(self, flags: int) -> None:
        self.flags = flags

    def describe(self) -> str:
        return f"enter {', '.join(name for name, flag in FLAGS.items() if self.flags & flag)}"

    def run(self, ctx: Context) -> None:
        setns(ctx.joins["process"], self.flags)
        # Joining the mount namespace has made its root our root and directory.
        ctx.root_fd = Fd(os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)).detach()
        if self.flags & CLONE_NEWUSER:
            BecomeRoot(drop_groups=False).run(ctx)


class SetUser(Step):
    """Notes the numbers of the user, looks up its home for HOME, and gives it the standard streams.

    Unlike `LookUpUser` it adds no membership that the container's files name: the specification gives all of them.
    """

    name = "set-user"
    __slots__ = ("gid", "groups", "uid")

    def __init__(self, uid: int, gid: int, groups: list[int]) -> None:
        self.uid = uid
        self.gid = gid
        self.groups = groups

    def describe(self) -> str:
        extra = f", groups {', '.join(str(group) for group in self.groups)}" if self.groups else ""
        return f"{self.uid}:{self.gid}{extra}"

    def run(self, ctx: Context) -> None:
        ctx.uid = self.uid
        ctx.gid = self.gid
        ctx.groups = self.groups
        ctx.home = home_of(ctx.root_fd, self.uid)
        for fd in (0, 1, 2):
            give_stream(fd, self.uid)
