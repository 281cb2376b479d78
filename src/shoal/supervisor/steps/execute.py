"""The last steps: find the program as the container's user would, and become it.

What goes wrong behind the first of them happens in the started container, as with Docker.
`os.execvp` is not used: it imports modules when it fails, and the interpreter's library is out of reach by now.
"""

from __future__ import annotations

import errno
import os
import signal
import stat

from shoal.errors import InvalidArgument
from shoal.linux.capabilities import capset, get_capabilities
from shoal.linux.libc import close_range
from shoal.supervisor.steps.step import Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from shoal.supervisor.steps.context import Context

# What a container's first process ends with when the kernel refuses a program that is there and executable.
_EXEC_FAILED = 255


class FindProgram(Step):
    """Looks `program` up in PATH of `env`, with HOME added where it is missing, with the process's own rights.

    A program that is not found, or may not be executed, is an error of the start, in Docker's words: its client
    reads exit codes 126 and 127 out of them. `effective` are the capabilities to look with, None those in effect.
    """

    name = "find-program"
    __slots__ = ("effective", "env", "program")

    def __init__(self, program: str, env: list[str], effective: int | None) -> None:
        self.program = program
        self.env = env
        self.effective = effective

    def describe(self) -> str:
        return self.program

    def run(self, ctx: Context) -> None:
        if self.effective is not None:
            effective, permitted, inheritable = get_capabilities()
            capset(effective & self.effective, permitted, inheritable)
        environment: dict[bytes, bytes] = {}
        for entry in self.env:
            name, _, value = os.fsencode(entry).partition(b"=")
            environment[name] = value
        if not environment.get(b"HOME"):
            environment[b"HOME"] = os.fsencode(ctx.home)
        ctx.environment = environment
        ctx.program = find_program(self.program, environment.get(b"PATH", b""))


class Execute(Step):
    """Becomes the program that was found.

    What execve refuses (no interpreter, a wrong format) happens in the started container, as with Docker: a line
    on its standard error and exit code 255.
    """

    name = "exec"
    __slots__ = ("args",)

    def __init__(self, args: list[str]) -> None:
        self.args = args

    def describe(self) -> str:
        return " ".join(self.args)

    def run(self, ctx: Context) -> None:
        _reset_signals()
        # Whatever else is open is the supervisor's. Marked, not closed: our socket has to stay open until
        # execve has succeeded, because its end is the sign for that.
        close_range(3, cloexec=True)
        for fd in ctx.kept:
            os.set_inheritable(fd, True)
        try:
            os.execve(ctx.program, [os.fsencode(argument) for argument in self.args], ctx.environment)
        except (OSError, ValueError) as error:
            number = error.errno if isinstance(error, OSError) and error.errno else errno.EINVAL
            fail_started(b"exec %s: %s" % (ctx.program, _text(number).encode()))


def find_program(name: str, path: bytes) -> bytes:
    """The path of the program `name`, which may be one itself.

    Raises: InvalidArgument `exec: "foo": executable file not found in $PATH`, or the errno's text for a path.
    """
    if "/" in name:
        problem = _problem_of(os.fsencode(name))
        if problem:
            detail = f"stat {name}: {problem}" if problem == _text(errno.ENOENT) else problem
            raise InvalidArgument(f'exec: "{name}": {detail}')
        return os.fsencode(name)
    if name and path:
        for directory in path.split(b":"):
            candidate = (directory or b".") + b"/" + os.fsencode(name)
            if not _problem_of(candidate):
                return candidate
    raise InvalidArgument(f'exec: "{name}": executable file not found in $PATH')


def _problem_of(path: bytes) -> str:
    """Why this process cannot execute `path`, "" when it can."""
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        return _text(error.errno or 0)
    except ValueError:  # a NUL in the name
        return _text(errno.EINVAL)
    if stat.S_ISDIR(mode):
        return _text(errno.EISDIR)
    if not mode & 0o111 or not os.access(path, os.X_OK, effective_ids=True):
        return _text(errno.EACCES)
    return ""


def _text(number: int) -> str:
    return os.strerror(number).lower()


def _reset_signals() -> None:
    # Python ignores these two, and what is ignored stays ignored over execve.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def fail_started(line: bytes) -> NoReturn:
    """Ends a process whose start has been answered already: `line` on its standard error, and exit code 255."""
    try:
        os.write(2, line + b"\n")
    except OSError:
        pass  # nobody listens any more
    os._exit(_EXEC_FAILED)
