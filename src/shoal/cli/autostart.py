"""Starts shoald when none runs and this user may: a machine without any set-up can use `shoal` at once.

Only for the default socket, only as root, only when nobody named another engine. shoald goes on after `shoal` ends.
"""

from __future__ import annotations

import errno
import os
import sys
import time
from collections.abc import Callable

from shoal.client.transport import Connection, Transport, UnixTransport
from shoal.errors import Forbidden, ShoalError, Unavailable

EXEC_ROOT = "/run/shoal"
_DEADLINE_S = 15.0
_PAUSE_S = 0.02


class StartingTransport(Transport):
    """A UnixTransport to the default socket that starts the engine when nobody listens there."""

    def __init__(self, transport: UnixTransport, announce: Callable[[str], None]) -> None:
        self._transport = transport
        self._announce = announce

    @property
    def address(self) -> str:
        return self._transport.address

    def connect(self) -> Connection:
        """A connection. Raises: Unavailable, Forbidden, with what to do about it."""
        try:
            return self._transport.connect()
        except Unavailable as error:
            refusal: ShoalError = error
        if os.geteuid() != 0:
            raise Forbidden(str(refusal), fix="start it as root: `sudo shoald`; only root may start it") from None
        program = find_shoald()
        if not program:
            raise Unavailable(refusal.what, why="no shoald next to this program", fix="start shoald by hand") from None
        log = os.path.join(EXEC_ROOT, "shoald.log")
        self._announce(f"shoald does not run; starting it (log: {log})")
        return self._wait_listening(_spawn(program, log), log)

    def _wait_listening(self, pid: int, log: str) -> Connection:
        deadline = time.monotonic() + _DEADLINE_S
        while True:
            try:
                return self._transport.connect()
            except Unavailable:
                pass
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                # Another `shoal` may have started one at the same moment: then ours gave way to it.
                try:
                    return self._transport.connect()
                except Unavailable:
                    code = os.waitstatus_to_exitcode(status)
                    raise Unavailable(
                        f"shoald ended at once with code {code}", why=_last_line(log), fix=f"see {log}"
                    ) from None
            if time.monotonic() > deadline:
                raise Unavailable(f"shoald does not answer after {_DEADLINE_S:.0f} s", fix=f"see {log}")
            time.sleep(_PAUSE_S)


def find_shoald() -> list[str]:
    """The command that runs shoald: the program beside this interpreter, or its module; [] where there is neither."""
    beside = os.path.join(os.path.dirname(sys.executable), "shoald")
    if os.access(beside, os.X_OK):
        return [beside]
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    if os.path.exists(os.path.join(here, "daemon", "main.py")):
        return [sys.executable, "-m", "shoal.daemon.main"]
    return []


def _spawn(command: list[str], log: str) -> int:
    """The pid of shoald, in a session of its own, so that a Ctrl-C here does not reach it."""
    os.makedirs(os.path.dirname(log), mode=0o711, exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        log_fd = os.open(log, flags, 0o640)
    except OSError as error:
        raise Unavailable(f"can't write {log}", why=error.strerror or errno.errorcode[error.errno or 0]) from None
    null_fd = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    try:
        actions = [
            (os.POSIX_SPAWN_DUP2, null_fd, 0),
            (os.POSIX_SPAWN_DUP2, log_fd, 1),
            (os.POSIX_SPAWN_DUP2, log_fd, 2),
        ]
        return os.posix_spawn(command[0], command, os.environ, file_actions=actions, setsid=True)
    finally:
        os.close(log_fd)
        os.close(null_fd)


def _last_line(log: str) -> str:
    try:
        with open(log, encoding="utf-8", errors="replace") as file:
            lines = [line.strip() for line in file if line.strip()]
    except OSError:
        return ""
    return lines[-1] if lines else ""
