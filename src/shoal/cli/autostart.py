"""Starts shoald when none runs and this user may: a machine without any set-up can use `shoal` at once.

Only for the default socket, only as root, only when nobody named another engine. shoald goes on after `shoal` ends.
"""

from __future__ import annotations

import os
import sys
import time

from shoal.client.transport import Connection, Transport, UnixTransport
from shoal.errors import Forbidden, Unavailable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

EXEC_ROOT = "/run/shoal"
_DEADLINE_S = 20.0
_PAUSE_S = 0.02


class StartingTransport(Transport):
    """A UnixTransport that starts the engine when nobody listens there.

    `program` is the command that runs shoald, [] where there is none; its log goes to EXEC_ROOT/shoald.log.
    """

    def __init__(
        self,
        transport: UnixTransport,
        announce: Callable[[str], None],
        *,
        program: Sequence[str],
        exec_root: str = EXEC_ROOT,
    ) -> None:
        self._transport = transport
        self._announce = announce
        self._program = program
        self._log = os.path.join(exec_root, "shoald.log")

    @property
    def address(self) -> str:
        """The socket's address."""
        return self._transport.address

    def connect(self) -> Connection:
        """A connection. Raises: Unavailable, Forbidden, with what to do about it."""
        try:
            return self._transport.connect()
        except Unavailable as refusal:
            what = refusal.what
        if os.geteuid() != 0:
            raise Forbidden(what, fix="only root may start it: `sudo shoald`, or run this command with sudo")
        if not self._program:
            raise Unavailable(what, why="there is no shoald next to this program", fix="start shoald by hand")
        self._announce(f"shoald does not run; starting it (log: {self._log})")
        return self._wait_listening(self._spawn())

    def _spawn(self) -> int:
        """The pid of shoald, in a session of its own, so that a Ctrl-C here does not reach it. Raises: Unavailable."""
        import subprocess  # 6 ms, which only the one call that starts the engine needs

        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            os.makedirs(os.path.dirname(self._log), mode=0o711, exist_ok=True)
            log_fd = os.open(self._log, flags, 0o640)
        except OSError as error:
            raise Unavailable(f"can't write {self._log}", why=error.strerror or str(error)) from None
        try:
            # At the root directory, so that shoald keeps no file system busy.
            return subprocess.Popen(
                list(self._program),
                stdin=subprocess.DEVNULL,
                stdout=log_fd,
                stderr=log_fd,
                start_new_session=True,
                cwd="/",
            ).pid
        except OSError as error:
            raise Unavailable(f"can't run {self._program[0]}", why=error.strerror or str(error)) from None
        finally:
            os.close(log_fd)

    def _wait_listening(self, pid: int) -> Connection:
        deadline = time.monotonic() + _DEADLINE_S
        code: int | None = None
        while True:
            try:
                return self._transport.connect()
            except Unavailable:
                pass
            # Another `shoal` may have started one at the same moment. Then ours gave way, and theirs is on its way:
            # only one more refusal after the end of ours means that nobody comes.
            if code is not None:
                raise Unavailable(
                    f"shoald ended at once with code {code}", why=self._last_line(), fix=f"see {self._log}"
                )
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                code = os.waitstatus_to_exitcode(status)
                time.sleep(_PAUSE_S * 25 if code else 0)
            if time.monotonic() > deadline:
                raise Unavailable(f"shoald does not answer after {_DEADLINE_S:.0f} s", fix=f"see {self._log}")
            time.sleep(_PAUSE_S)

    def _last_line(self) -> str:
        try:
            with open(self._log, encoding="utf-8", errors="replace") as file:
                lines = [line.strip() for line in file if line.strip()]
        except OSError:
            return ""
        return lines[-1] if lines else ""


def find_shoald() -> list[str]:
    """The command that runs shoald: the program beside this interpreter, or its module; [] where there is neither."""
    beside = os.path.join(os.path.dirname(sys.executable), "shoald")
    if os.access(beside, os.X_OK):
        return [beside]
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    if os.path.exists(os.path.join(here, "daemon", "main.py")):
        return [sys.executable, "-m", "shoal.daemon.main"]
    return []
