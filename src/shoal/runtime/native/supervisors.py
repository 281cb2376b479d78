"""The supervisors of a shoald: started, found again after a restart, and filled with containers. Runs in shoald.

shoald never forks: a supervisor is started by posix_spawn from the sealed interpreter. shoald makes its listening
socket first, so that it can be connected to at once, and again by the next shoald.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import shoal.supervisor
from shoal.errors import Internal, ShoalError, SyscallError
from shoal.linux.fd import Fd
from shoal.linux.pidfd import pidfd_open, pidfd_send_signal, wait_exit
from shoal.linux.procfs import command_line
from shoal.runtime.native.build import this_build
from shoal.runtime.native.interpreter import SealedInterpreter, this_interpreter
from shoal.runtime.native.link import SupervisorLink
from shoal.supervisor.protocol import connect, listen

if TYPE_CHECKING:
    from shoal.runtime.native.hosted import Hosted
    from shoal.supervisor.protocol import Body

_BOOTSTRAP = os.path.join(os.path.abspath(os.path.dirname(shoal.supervisor.__file__)), "bootstrap.py")
_START_TIMEOUT_S = 30.0
_END_TIMEOUT_S = 5.0


class Supervisor:
    """One supervisor process: its directory, its pid, its link, and the containers that are meant for it.

    `blanks` are the pids of its blank children, `starting` those of processes before their execve: should it die, they
    die with it, and nobody but shoald can reap them. `starts` are the starts that shoald sees through with it, and
    `late` what they have begun to run though it was dead by then. `build` is the code that it runs, as it told at
    `configure`.
    """

    def __init__(self, number: int, directory: Path) -> None:
        self.number = number
        self.directory = directory
        self.pid = 0
        self.build = ""
        self.pidfd: Fd | None = None
        self.link: SupervisorLink | None = None
        self.containers: set[str] = set()
        self.blanks: list[int] = []
        self.starting: dict[tuple[str, str | None], int] = {}
        self.starts: set[asyncio.Future[None]] = set()
        self.late: list[Hosted] = []

    @property
    def connected(self) -> SupervisorLink:
        """Its link. Raises: Internal when there is none."""
        if self.link is None:
            raise Internal(f"supervisor {self.number} is not connected")
        return self.link

    def connect(self, on_event: Callable[[Supervisor, str, Body], None], on_lost: Callable[[Supervisor], None]) -> None:
        """Connects to its socket. Raises: OSError (ECONNREFUSED, ENOENT: it does not live any more)."""
        sock = connect(str(self.directory / "socket"))
        self.link = SupervisorLink(sock, lambda kind, body: on_event(self, kind, body), lambda: on_lost(self))

    async def wait_ended(self, timeout_s: float) -> bool:
        """Whether it has ended, after at most `timeout_s`."""
        if self.pidfd is None or self.pidfd.closed:
            return True
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()
        # A duplicate of its own, because `close` may come meanwhile.
        with self.pidfd.dup() as pidfd:
            loop.add_reader(pidfd.fileno(), ended.set)
            try:
                async with asyncio.timeout(timeout_s):
                    await ended.wait()
            except TimeoutError:
                return False
            finally:
                loop.remove_reader(pidfd.fileno())
        return True

    def kill(self) -> None:
        """Ends it by force."""
        if self.pidfd is not None and not self.pidfd.closed:
            try:
                pidfd_send_signal(self.pidfd, signal.SIGKILL)
            except SyscallError:
                pass  # it has ended by itself

    def end_recorded(self) -> None:
        """Ends the process that its directory names, if that is still this supervisor, and waits for its end."""
        try:
            pid = int((self.directory / "pid").read_text())
            pidfd = pidfd_open(pid)
        except (OSError, ValueError, SyscallError):
            return
        with pidfd:
            # Read behind the opening: so it is the process that the descriptor means.
            if str(self.directory) in command_line(pid):
                pidfd_send_signal(pidfd, signal.SIGKILL)
                wait_exit(pidfd, _END_TIMEOUT_S)

    def reap(self) -> None:
        """Collects it, if it has ended and is our child."""
        if self.pid:
            try:
                os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG)
            except ChildProcessError:
                pass  # an earlier shoald started it

    def last_words(self) -> str:
        """What it wrote to stderr: the reason of a crash."""
        try:
            return (self.directory / "stderr").read_text(errors="replace").strip()
        except OSError:
            return ""

    def remove_directory(self) -> None:
        """Removes its directory, once it is dead."""
        for name in ("socket", "pid", "pid.tmp", "stderr"):
            (self.directory / name).unlink(missing_ok=True)
        try:
            self.directory.rmdir()
        except OSError:
            pass  # not ours alone

    def close(self) -> None:
        """Lets it go; it lives on while it hosts something."""
        if self.link is not None:
            self.link.close()
        if self.pidfd is not None:
            self.pidfd.close()


class Spawner:
    """Starts supervisors in directories under `root`."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._interpreter: SealedInterpreter | None = None
        self.build = this_build()
        self._last_number = 0

    def spawn(self) -> Supervisor:
        """A new supervisor that is about to come up; its socket can be connected to. Raises: SyscallError, OSError."""
        if self._interpreter is None:
            self._interpreter = SealedInterpreter(this_interpreter())
        directory = self._new_directory()
        supervisor = Supervisor(self._last_number, directory)
        listener = listen(str(directory / "socket"))
        try:
            fd = listener.fileno()
            supervisor.pid = self._posix_spawn(self._interpreter, directory, fd)
        finally:
            listener.close()
        supervisor.pidfd = pidfd_open(supervisor.pid)
        return supervisor

    def existing(self) -> list[Supervisor]:
        """The directories of supervisors that an earlier shoald started, dead or alive, not connected."""
        found = []
        for directory in sorted(self._root.iterdir()) if self._root.is_dir() else []:
            if directory.name.isdigit():
                supervisor = Supervisor(int(directory.name), directory)
                self._last_number = max(self._last_number, supervisor.number)
                found.append(supervisor)
        return found

    def close(self) -> None:
        """Gives the sealed interpreter back."""
        if self._interpreter is not None:
            self._interpreter.close()
            self._interpreter = None

    def _new_directory(self) -> Path:
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        while True:
            self._last_number += 1
            directory = self._root / str(self._last_number)
            try:
                directory.mkdir(mode=0o700)
                return directory
            except FileExistsError:
                pass  # a dead one's, not swept yet

    def _posix_spawn(self, interpreter: SealedInterpreter, directory: Path, listener_fd: int) -> int:
        arguments = [interpreter.path, "-SI", _BOOTSTRAP, str(directory), str(listener_fd), self.build]
        log_flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0),
            (os.POSIX_SPAWN_OPEN, 2, str(directory / "stderr"), log_flags, 0o600),
            # Onto itself: clears close-on-exec (posix_spawn_file_actions_adddup2(3)).
            (os.POSIX_SPAWN_DUP2, listener_fd, listener_fd),
        ]
        return os.posix_spawn(
            interpreter.executable,
            arguments,
            interpreter.environment,
            file_actions=actions,
            setsid=True,
            setsigmask=[],
            # Nothing that shoald, or whoever started it, ignores is to reach the containers.
            setsigdef=signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP},
        )


async def configure(supervisor: Supervisor, body: Body) -> None:
    """Waits for a new supervisor to be there, and tells it how to work. Raises: Internal with its last words."""
    try:
        answer = await supervisor.connected.request("configure", body, timeout_s=_START_TIMEOUT_S)
    except ShoalError as error:
        words = await asyncio.to_thread(supervisor.last_words)
        raise Internal("a supervisor does not start", why=words or str(error)) from error
    supervisor.pid = answer.body["pid"]
    # The first ones did not tell.
    supervisor.build = answer.body.get("build", "")
