"""Steps that set attributes of the process: limits, the oom score, the mask of new files, the directory."""

from __future__ import annotations

import errno
import os

from shoal.errors import InvalidArgument, SyscallError
from shoal.linux.rlimits import set_rlimit
from shoal.linux.rootfs import mkdir_in_root
from shoal.supervisor.steps.step import Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from shoal.supervisor.steps.context import Context


class SetRlimits(Step):
    """Sets resource limits, (name, soft, hard); one that cannot be raised that far is clamped with a warning."""

    name = "rlimits"
    __slots__ = ("limits",)

    def __init__(self, limits: list[tuple[str, int, int]]) -> None:
        self.limits = limits

    def describe(self) -> str:
        return ", ".join(f"{name}={soft}:{hard}" for name, soft, hard in self.limits)

    def run(self, ctx: Context) -> None:
        for name, soft, hard in self.limits:
            warning = set_rlimit(name, soft, hard)
            if warning is not None:
                ctx.warn(warning)


class SetOomScore(Step):
    """Sets how readily the kernel ends this process for want of memory.

    While the host's /proc is still ours: the container's is not to be trusted with it.
    """

    name = "oom-score"
    __slots__ = ("score",)

    def __init__(self, score: int) -> None:
        self.score = score

    def describe(self) -> str:
        return str(self.score)

    def run(self, ctx: Context) -> None:
        path = "/proc/self/oom_score_adj"
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
            try:
                os.write(fd, b"%d" % self.score)
            finally:
                os.close(fd)
        except OSError as error:
            # Lowering it needs CAP_SYS_RESOURCE, which not every host's root has.
            if error.errno != errno.EACCES:
                raise SyscallError("write", path, error.errno or 0) from None
            ctx.warn(f"oom_score_adj {self.score} was not set: lowering it needs CAP_SYS_RESOURCE")


class SetUmask(Step):
    """Sets the permissions that new files do not get."""

    name = "umask"
    __slots__ = ("mask",)

    def __init__(self, mask: int) -> None:
        self.mask = mask

    def describe(self) -> str:
        return f"{self.mask:04o}"

    def run(self, ctx: Context) -> None:
        os.umask(self.mask)


class MakeWorkingDirectory(Step):
    """Makes the working directory with its parents if it is missing, as Docker does. Before / is read-only."""

    name = "make-directory"
    __slots__ = ("path",)

    def __init__(self, path: str) -> None:
        self.path = path

    def describe(self) -> str:
        return self.path

    def run(self, ctx: Context) -> None:
        try:
            mkdir_in_root(ctx.root_fd, self.path, 0o755).close()
        except SyscallError as error:
            if error.errno == errno.ENOTDIR:
                raise InvalidArgument(f"Cannot mkdir: {self.path} is not a directory") from None
            # A read-only place that lacks it: let chdir say so, in its own words.
            if error.errno not in (errno.EROFS, errno.EACCES):
                raise


class ChangeDirectory(Step):
    """Goes to the working directory, and makes sure that it is in the container.

    As root still, as Docker does: a user may start in a directory that it could not enter.
    """

    name = "chdir"
    __slots__ = ("path",)

    def __init__(self, path: str) -> None:
        self.path = path

    def describe(self) -> str:
        return self.path

    def run(self, ctx: Context) -> None:
        try:
            os.chdir(self.path)
            # A link such as /proc/self/fd/N may lead to a directory of the host (CVE-2024-21626). The kernel
            # then has no path for it from our root: ENOENT, or a name in parentheses.
            inside = os.getcwd().startswith("/")
        except OSError as error:
            raise InvalidArgument(
                f'chdir to cwd ("{self.path}") set in config.json failed', why=os.strerror(error.errno or 0).lower()
            ) from None
        if not inside:
            raise InvalidArgument("current working directory is outside of container mount namespace root")
        ctx.cwd = self.path
