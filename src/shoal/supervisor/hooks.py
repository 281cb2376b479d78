"""Runs a hook: a program that gets the container's state on its standard input, at one point of the container's life.

Used by the OCI runtime outside of a container and by its child inside, so: no import at run time. OCI runtime-spec
§POSIX-platform Hooks.
"""

from __future__ import annotations

import errno
import os
import select
import signal
import time

from shoal.errors import Internal
from shoal.linux.fd import Fd
from shoal.linux.pidfd import pidfd_open, pidfd_send_signal

# What of a failing hook's words is repeated in the error.
_MOST_WORDS = 4096
_ALL_SIGNALS = tuple(number for number in range(1, 65) if number not in (signal.SIGKILL, signal.SIGSTOP, 32, 33))


class Hook:
    """One program: `args` with its own name, "NAME=value" strings as `env`, `timeout_s` None for no end."""

    __slots__ = ("args", "env", "path", "timeout_s")

    def __init__(self, path: str, args: list[str], env: list[str], timeout_s: int | None) -> None:
        self.path = path
        self.args = args
        self.env = env
        self.timeout_s = timeout_s


def run_hook(kind: str, number: int, hook: Hook, state: bytes) -> None:
    """Runs one hook to its end. Blocks. What it starts in the background is left alone.

    Raises: Internal `error running createRuntime hook #0: …` when it cannot be started, fails, or takes too long.
    """
    what = f"error running {kind} hook #{number}"
    # Regular files in memory: a hook that reads nothing, or writes without end, or leaves a child, blocks nobody.
    with _memory(state) as given, _memory(b"") as words:
        try:
            pid = os.posix_spawn(
                hook.path,
                hook.args or [hook.path],
                dict(entry.split("=", 1) for entry in hook.env if "=" in entry),
                file_actions=[
                    (os.POSIX_SPAWN_DUP2, given.fileno(), 0),
                    (os.POSIX_SPAWN_DUP2, words.fileno(), 1),
                    (os.POSIX_SPAWN_DUP2, words.fileno(), 2),
                ],
                setsigmask=[],
                setsigdef=_ALL_SIGNALS,
            )
        except OSError as error:
            raise Internal(what, why=f"{hook.path}: {os.strerror(error.errno or errno.EIO).lower()}") from None
        status = _wait(pid, hook.timeout_s)
        if status is None:
            raise Internal(what, why=f"{hook.path} took longer than {hook.timeout_s} s", fix="raise its timeout")
        code = os.waitstatus_to_exitcode(status)
        if code != 0:
            ended = f"exit status {code}" if code > 0 else f"signal {-code}"
            raise Internal(what, why=f"{ended}, stdout and stderr: {_text(words)}")


def _wait(pid: int, timeout_s: int | None) -> int | None:
    """How the process ended; None when it was killed because its time was over."""
    if timeout_s is None:
        return os.waitpid(pid, 0)[1]
    with pidfd_open(pid) as pidfd:
        poll = select.poll()
        poll.register(pidfd.fileno(), select.POLLIN)
        deadline = time.monotonic() + timeout_s
        while not poll.poll(max(0, int((deadline - time.monotonic()) * 1000))):
            if time.monotonic() >= deadline:
                pidfd_send_signal(pidfd, signal.SIGKILL)
                os.waitpid(pid, 0)
                return None
    return os.waitpid(pid, 0)[1]


def _memory(content: bytes) -> Fd:
    """A file in memory, at its beginning."""
    file = Fd(os.memfd_create("hook", os.MFD_CLOEXEC))
    os.write(file.fileno(), content)
    os.lseek(file.fileno(), 0, os.SEEK_SET)
    return file


def _text(words: Fd) -> str:
    return os.pread(words.fileno(), _MOST_WORDS, 0).decode("utf-8", "replace").strip()
