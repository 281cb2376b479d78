"""Steps that fill /dev and give a container its terminal."""

from __future__ import annotations

import errno
import os

from shoal.errors import SyscallError
from shoal.linux.devices import default_symlinks, make_default_devices, make_device
from shoal.linux.fd import Fd
from shoal.linux.mounts import bind_mount
from shoal.linux.pty import open_pty, set_controlling_terminal, set_winsize
from shoal.linux.rootfs import NULL_DEVICE, create_file_in_root, open_null_device
from shoal.supervisor.steps.step import Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from shoal.supervisor.steps.context import Context


class MakeDevices(Step):
    """The devices and links that every container has, then those of `--device`.

    `devices` are (path, kind, major, minor, mode, uid, gid).
    """

    name = "devices"
    __slots__ = ("devices",)

    def __init__(self, devices: list[tuple[str, str, int, int, int, int, int]]) -> None:
        self.devices = devices

    def describe(self) -> str:
        extra = ", ".join(f"{path} {kind} {major}:{minor}" for path, kind, major, minor, *_ in self.devices)
        return "default devices and links" + (f", {extra}" if extra else "")

    def run(self, ctx: Context) -> None:
        if not ctx.prepared.has_devices:
            make_default_devices(ctx.root_fd)
            default_symlinks(ctx.root_fd)
        for path, kind, major, minor, mode, uid, gid in self.devices:
            make_device(ctx.root_fd, path, kind, major, minor, mode, uid, gid)


class OpenConsole(Step):
    """A terminal of the container's own devpts: the master goes to the supervisor, the slave is /dev/console.

    After the change of root, so that the devpts is the container's and its number names the slave inside.
    Only a container's first process has a /dev/console; `bind` is False for an exec.
    """

    name = "console"
    __slots__ = ("bind", "columns", "rows")

    def __init__(self, rows: int, columns: int, *, bind: bool) -> None:
        self.rows = rows
        self.columns = columns
        self.bind = bind

    def describe(self) -> str:
        size = f" of {self.rows}x{self.columns}" if self.rows and self.columns else ""
        return f"new terminal{size}, its master to the supervisor" + (", /dev/console" if self.bind else "")

    def run(self, ctx: Context) -> None:
        master, slave = open_pty()
        with master, slave:
            if self.rows and self.columns:
                set_winsize(master, self.rows, self.columns)
            if self.bind:
                self._bind_console(ctx.root_fd, slave)
            ctx.channel.send_fd("console", master.fileno())
            _become(slave.fileno())
        _new_session()
        set_controlling_terminal(0)
        ctx.stdio = (0, 1, 2)

    def _bind_console(self, root_fd: int, slave: Fd) -> None:
        try:
            with create_file_in_root(root_fd, "/dev/console", 0o600) as place:
                # By its descriptor, because /dev may lead into a volume that another container can write to
                # (CVE-2025-52565).
                bind_mount(slave, place, recursive=False, object="/dev/console").close()
        except SyscallError as error:
            # A read-only /dev bound in by the user has no place for it; the terminal works without.
            if error.errno != errno.EROFS:
                raise


class TakeStdio(Step):
    """Makes the descriptors that the supervisor passed 0, 1 and 2, and starts a session without a terminal."""

    name = "stdio"
    __slots__ = ()

    def describe(self) -> str:
        return "standard streams from the supervisor, new session"

    def run(self, ctx: Context) -> None:
        if ctx.stdio is None:
            raise SyscallError("dup2", "stdio", errno.EBADF)
        _replace_null(ctx)
        # Away from 0..2 first: dup2 onto one could close another that is still to be duplicated.
        moved = [os.dup(fd) if fd < 3 else fd for fd in ctx.stdio]
        for number, fd in enumerate(moved):
            os.dup2(fd, number, inheritable=True)
        _new_session()
        ctx.stdio = (0, 1, 2)


def _replace_null(ctx: Context) -> None:
    """Puts the container's own /dev/null in the place of the host's.

    Through a descriptor of the host's, root in the container could change the owner and mode of the host's node.
    """
    assert ctx.stdio is not None
    own = -1
    ends = []
    for fd in ctx.stdio:
        if os.fstat(fd).st_rdev == NULL_DEVICE:
            if own < 0:
                # The container may race to put another device there, whose mere opening has effects: from here on
                # it gets no further than its own cgroup lets it.
                ctx.channel.wait("cgroup")
                own = open_null_device(os.O_RDWR).detach()
            fd = own
        ends.append(fd)
    ctx.stdio = (ends[0], ends[1], ends[2])


def _become(slave: int) -> None:
    for number in (0, 1, 2):
        os.dup2(slave, number, inheritable=True)


def _new_session() -> None:
    try:
        os.setsid()
    except OSError as error:
        # EPERM: we lead a process group already, so the supervisor has made the session.
        if error.errno != errno.EPERM:
            raise SyscallError("setsid", "", error.errno or 0) from None
