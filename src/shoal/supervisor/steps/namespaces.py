"""Steps about namespaces: entering those of others, and the names of our own."""

from __future__ import annotations

import _socket as socket  # `socket` itself takes two milliseconds to import
import os

from shoal.errors import SyscallError
from shoal.linux.fd import Fd
from shoal.linux.namespaces import (
    CLONE_NEWCGROUP,
    CLONE_NEWIPC,
    CLONE_NEWNET,
    CLONE_NEWNS,
    CLONE_NEWUTS,
    FLAGS,
    setns,
    unshare,
)
from shoal.linux.sysctl import write_sysctl
from shoal.supervisor.steps.step import Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from shoal.supervisor.steps.context import Context


class JoinNamespaces(Step):
    """Enters namespaces of another container, by the descriptors that the supervisor passed."""

    name = "join-namespaces"
    __slots__ = ("kinds",)

    def __init__(self, kinds: list[str]) -> None:
        self.kinds = kinds

    def describe(self) -> str:
        return f"enter the namespaces {', '.join(self.kinds)}"

    def run(self, ctx: Context) -> None:
        for kind in self.kinds:
            setns(ctx.joins[kind], FLAGS[kind])


class JoinProcess(Step):
    """Enters all namespaces of a running container at once; its root is ours from then on.

    The pid namespace is not among them: it takes effect for children only, so the supervisor entered it before
    the clone. The user namespace would have to come first, and only where it is another than ours.
    """

    name = "join-process"
    __slots__ = ()

    def describe(self) -> str:
        return "enter the container's namespaces through its pidfd"

    def run(self, ctx: Context) -> None:
        flags = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWCGROUP
        setns(ctx.joins["process"], flags)
        # setns(CLONE_NEWNS) has made the root of that namespace our root and directory.
        ctx.root_fd = Fd(os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)).detach()


class UnshareCgroup(Step):
    """A cgroup namespace of its own, whose root is the cgroup that the child is in by now."""

    name = "unshare-cgroup"
    __slots__ = ()

    def describe(self) -> str:
        return "new cgroup namespace, rooted at the container's cgroup"

    def run(self, ctx: Context) -> None:
        unshare(CLONE_NEWCGROUP)


class SetHostname(Step):
    """The host name, and the NIS domain name when one is given."""

    name = "hostname"
    __slots__ = ("domainname", "hostname")

    def __init__(self, hostname: str, domainname: str = "") -> None:
        self.hostname = hostname
        self.domainname = domainname

    def describe(self) -> str:
        return f"host name {self.hostname!r}" + (f", domain name {self.domainname!r}" if self.domainname else "")

    def run(self, ctx: Context) -> None:
        if self.hostname:
            try:
                # As bytes: a str would go through the idna codec, whose modules are not loaded.
                socket.sethostname(self.hostname.encode())  # type: ignore[arg-type]
            except OSError as error:
                raise SyscallError("sethostname", self.hostname, error.errno or 0) from None
        if self.domainname:
            write_sysctl("kernel.domainname", self.domainname)
