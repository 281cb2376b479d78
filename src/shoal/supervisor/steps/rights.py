"""Steps that settle who the process is and what it may do. They come last before exec, in this order:

LookUpUser         reads passwd and group, gives the standard streams to the user
NewKeyring         before the change of user, to whom it would be charged
DropBounding       needs CAP_SETPCAP
SwitchUser         needs CAP_SETUID and CAP_SETGID; keeps the permitted capabilities over the change
FindProgram        the last that the start can fail by: behind it, the container has started
InstallSeccomp     needs CAP_SYS_ADMIN, so it comes before the capabilities go …
SetCapabilities    the container's own sets
NoNewPrivileges    … unless this is set: then the filter comes behind it, and has to allow less
InstallSeccomp
"""

from __future__ import annotations

import errno
import os
import stat

from shoal.errors import Forbidden, InvalidArgument, SyscallError, Unsupported
from shoal.linux.capabilities import CAPABILITIES, capset, drop_bounding, get_capabilities, names, set_ambient
from shoal.linux.fd import Fd
from shoal.linux.keyrings import join_new_session_keyring
from shoal.linux.prctl import set_keepcaps, set_no_new_privs
from shoal.linux.seccomp import install_filter
from shoal.linux.sysctl import PROC_SUPER_MAGIC, filesystem_type
from shoal.supervisor.steps.accounts import look_up
from shoal.supervisor.steps.step import Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from shoal.supervisor.steps.context import Context

_SYS_ADMIN = 1 << CAPABILITIES["CAP_SYS_ADMIN"]
_NULL_DEVICE = os.makedev(1, 3)


class LookUpUser(Step):
    """Finds who `user` is in the container, and gives that user the standard streams.

    Behind the change of root. A user that cannot open its own /dev/stdout is a surprise: other runtimes give
    the streams away too.
    """

    name = "user"
    __slots__ = ("group_names", "groups", "user")

    def __init__(self, user: str, groups: list[int], group_names: list[str]) -> None:
        self.user = user
        self.groups = groups
        self.group_names = group_names

    def describe(self) -> str:
        extra = [*(str(group) for group in self.groups), *self.group_names]
        return (self.user or "root") + (f", groups {', '.join(extra)}" if extra else "")

    def run(self, ctx: Context) -> None:
        account = look_up(ctx.root_fd, self.user, self.groups, self.group_names)
        ctx.uid = account.uid
        ctx.gid = account.gid
        ctx.groups = account.groups
        ctx.home = account.home
        for fd in (0, 1, 2):
            give_stream(fd, ctx.uid)


class NewKeyring(Step):
    """Leaves the host's session keyring, whose keys the process would possess, for an empty one.

    Keyrings are in no namespace; only the default filter keeps containers from asking for them.
    """

    name = "keyring"
    __slots__ = ()

    def describe(self) -> str:
        return "new session keyring"

    def run(self, ctx: Context) -> None:
        try:
            join_new_session_keyring()
        except SyscallError as error:
            if error.errno == errno.EDQUOT:
                ctx.warn("no keyring of its own, because root has too many keys: raise kernel.keys.root_maxkeys")
            elif error.errno not in (errno.ENOSYS, errno.EPERM):
                raise  # the two mean that the kernel, or a container that we are in, has none for anybody


class DropBounding(Step):
    """Takes capabilities out of the bounding set: no program of the container can ever have them.

    Those to keep that this machine does not have are told of.
    """

    name = "bounding"
    __slots__ = ("keep",)

    def __init__(self, keep: int) -> None:
        self.keep = keep

    def describe(self) -> str:
        return f"keep {_short(self.keep)}"

    def run(self, ctx: Context) -> None:
        _, available, _ = get_capabilities()
        missing = self.keep & ~available
        if missing:
            ctx.warn(f"not available on this machine: {', '.join(names(missing))}")
        drop_bounding(self.keep)


class SwitchUser(Step):
    """Becomes the user that was looked up."""

    name = "switch-user"
    __slots__ = ()

    def describe(self) -> str:
        return "become that user, with its groups"

    def run(self, ctx: Context) -> None:
        if ctx.uid != 0:
            # Else the kernel clears the permitted set with the change, and with it what comes next.
            set_keepcaps(True)
        try:
            # Groups first: afterwards we may not change them any more.
            os.setgroups(ctx.groups)
            os.setresgid(ctx.gid, ctx.gid, ctx.gid)
            os.setresuid(ctx.uid, ctx.uid, ctx.uid)
        except OSError as error:
            raise SyscallError("setresuid", f"{ctx.uid}:{ctx.gid}", error.errno or 0) from None


class InstallSeccomp(Step):
    """Puts the process under its system call filter."""

    name = "seccomp"
    __slots__ = ("flags", "program")

    def __init__(self, program: bytes, flags: int) -> None:
        self.program = program
        self.flags = flags

    def describe(self) -> str:
        return f"filter of {len(self.program) // 8} instructions"

    def run(self, ctx: Context) -> None:
        effective, permitted, inheritable = get_capabilities()
        if not effective & _SYS_ADMIN and permitted & _SYS_ADMIN:
            # Changing to another user has cleared the effective set; this one is needed, and no other, so that
            # looking for the program happens with the user's own rights.
            capset(effective | _SYS_ADMIN, permitted, inheritable)
        install_filter(self.program, self.flags)


class SetCapabilities(Step):
    """The container's own sets, as bit masks; what this machine lacks is left out."""

    name = "capabilities"
    __slots__ = ("ambient", "effective", "inheritable", "permitted")

    def __init__(self, effective: int, permitted: int, inheritable: int, ambient: int) -> None:
        self.effective = effective
        self.permitted = permitted
        self.inheritable = inheritable
        self.ambient = ambient

    def describe(self) -> str:
        return _short(self.permitted) + (f", ambient {_short(self.ambient)}" if self.ambient else "")

    def run(self, ctx: Context) -> None:
        _, available, _ = get_capabilities()
        permitted = self.permitted & available
        capset(self.effective & permitted, permitted, self.inheritable & available)
        if self.ambient:
            set_ambient(self.ambient & permitted & self.inheritable)


class NoNewPrivileges(Step):
    """No program that the process runs will give it more rights than it has."""

    name = "no-new-privileges"
    __slots__ = ()

    def describe(self) -> str:
        return "set-uid programs and file capabilities have no effect"

    def run(self, ctx: Context) -> None:
        set_no_new_privs()


def give_stream(fd: int, uid: int) -> None:
    """Makes `uid` the owner of an open stream, as far as that goes. Raises: SyscallError."""
    try:
        status = os.fstat(fd)
        # Not /dev/null, which belongs to the host, and not what the user has already.
        if status.st_uid == uid or (stat.S_ISCHR(status.st_mode) and status.st_rdev == _NULL_DEVICE):
            return
        os.fchown(fd, uid, -1)
    except OSError as error:
        # A closed one, a read-only place, a file system without owners: the stream works all the same.
        if error.errno not in (errno.EBADF, errno.EROFS, errno.EPERM, errno.EINVAL):
            raise SyscallError("fchown", str(fd), error.errno or 0) from None


def _short(bits: int) -> str:
    listed = names(bits)
    return ", ".join(listed) if len(listed) <= 20 else f"{len(listed)} capabilities"


class ConfineByApparmor(Step):
    """Lets the next execve change to an AppArmor profile, which is loaded already. apparmor(7)."""

    name = "apparmor"
    __slots__ = ("profile",)

    def __init__(self, profile: str) -> None:
        self.profile = profile

    def describe(self) -> str:
        return f"profile {self.profile} from execve on"

    def run(self, ctx: Context) -> None:
        for path in ("/proc/self/attr/apparmor/exec", "/proc/self/attr/exec"):
            try:
                file = Fd(os.open(path, os.O_WRONLY | os.O_CLOEXEC))
            except FileNotFoundError:
                continue  # before Linux 5.8 only the second is there
            except OSError as error:
                raise SyscallError("open", path, error.errno or 0) from None
            with file:
                self._write(file, path)
            return
        raise Unsupported(f"cannot set the AppArmor profile {self.profile}", why="the container has no /proc/self/attr")

    def _write(self, file: Fd, path: str) -> None:
        # A container's own mounts must not turn this into a write elsewhere (CVE-2019-19921).
        if filesystem_type(file) != PROC_SUPER_MAGIC:
            raise Forbidden(f"cannot set the AppArmor profile {self.profile}", why="/proc is not procfs")
        try:
            os.write(file.fileno(), f"exec {self.profile}".encode())
        except FileNotFoundError:
            raise InvalidArgument(
                f"unable to apply apparmor profile: no profile {self.profile} is loaded",
                fix="apparmor_parser -r FILE loads one",
            ) from None
        except OSError as error:
            raise SyscallError("write", path, error.errno or 0) from None
