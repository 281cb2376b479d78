"""What shoald keeps of each running process: whose it is, and the descriptors that must outlive a supervisor."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from shoal.errors import SyscallError
from shoal.linux.fd import Fd
from shoal.linux.pidfd import pidfd_send_signal
from shoal.runtime.driver import ExecLaunch, Launch

if TYPE_CHECKING:
    from shoal.runtime.native.link import Answer
    from shoal.runtime.native.supervisors import Supervisor

Key = tuple[str, str | None]


class Hosted:
    """One running process. `input` is its stdin pipe's writing end, or its terminal's master.

    `ready` is unset while its supervisor is dead and no successor has adopted it. `launch` of an exec that was found
    after a restart is None.
    """

    def __init__(self, supervisor: Supervisor, launch: Launch | ExecLaunch | None, *, key: Key = ("", None)) -> None:
        self.supervisor = supervisor
        self.launch = launch
        self.id, self.exec_id = key
        if launch is not None:
            self.id, self.exec_id = launch.id, launch.exec_id if isinstance(launch, ExecLaunch) else None
        self.run_dir = launch.run_dir if launch is not None else ""
        self.terminal = launch.terminal if launch is not None else False
        self.pid = 0
        self.started_at_ns = 0
        self.pidfd = Fd(-1)
        self.input: Fd | None = None
        self._outputs: list[Fd] = []
        # Of an orphan that shoald has collected, as waitpid tells it.
        self.wait_status: int | None = None
        self.ready = asyncio.Event()
        self.ready.set()

    @property
    def in_machine(self) -> bool:
        """Whether it is the monitor of a machine, or stands for a process in one."""
        launch = self.launch
        return (
            launch.in_machine if isinstance(launch, ExecLaunch) else launch is not None and launch.machine is not None
        )

    @property
    def key(self) -> Key:
        """Its name: container and exec."""
        return self.id, self.exec_id

    def take(self, answer: Answer) -> None:
        """Takes over what the answer to a start brought: pid, time, and the descriptors.

        The FIFOs of the output are kept so that what is in them stays while nobody else has them open.
        """
        self.pid = answer.body["pid"]
        self.started_at_ns = answer.body["started_at_ns"]
        self.pidfd = answer.fds[0]
        self._outputs = answer.fds[1:]
        if answer.body["has_input"]:
            self.input = self._outputs.pop()

    def reopen_outputs(self) -> None:
        """Opens the FIFOs of a container that was found by its pid."""
        for name in ("stdout", "stderr"):
            try:
                self._outputs.append(Fd(os.open(f"{self.run_dir}/{name}", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)))
            except OSError:
                pass  # it has a terminal, or the directory is gone

    def send_signal(self, number: int, *, group: bool = False) -> None:
        """Sends a signal, or to its process `group`, unless it has ended. Raises: SyscallError (EPERM, EINVAL)."""
        try:
            pidfd_send_signal(self.pidfd, number, group=group)
        except SyscallError as error:
            if error.errno != errno.ESRCH:  # it has ended, and its supervisor is about to say so
                raise

    def close_input(self) -> None:
        """Closes the duplicate of stdin: the supervisor has closed its own, and the process is to see the end."""
        if self.input is not None:
            self.input.close()
            self.input = None

    def close(self) -> None:
        """Gives the descriptors back."""
        self.close_input()
        self.pidfd.close()
        for fd in self._outputs:
            fd.close()


class HostedTable:
    """All running processes by their keys."""

    def __init__(self) -> None:
        self._hosted: dict[Key, Hosted] = {}
        self._inputs_closed: set[Key] = set()

    def __iter__(self) -> Iterator[Hosted]:
        return iter(tuple(self._hosted.values()))

    def expect(self, key: Key) -> None:
        """A process of that name is about to be started: what was told of an earlier one does not count."""
        self._inputs_closed.discard(key)

    def add(self, hosted: Hosted) -> None:
        """Takes one in."""
        self._hosted[hosted.key] = hosted
        if hosted.key in self._inputs_closed:
            self._inputs_closed.discard(hosted.key)
            hosted.close_input()

    def input_closed(self, key: Key) -> None:
        """Its supervisor has closed its stdin; that may be told before the answer to its start is taken up."""
        hosted = self._hosted.get(key)
        if hosted is not None:
            hosted.close_input()
        else:
            self._inputs_closed.add(key)

    def find(self, id: str, exec_id: str | None) -> Hosted | None:
        """The running process of that name."""
        return self._hosted.get((id, exec_id))

    def remove(self, id: str, exec_id: str | None) -> Hosted | None:
        """Takes one out, which the caller is to close."""
        self._inputs_closed.discard((id, exec_id))
        return self._hosted.pop((id, exec_id), None)

    def of(self, supervisor: Supervisor) -> list[Hosted]:
        """What a supervisor hosts: the containers first, then their execs."""
        found = [hosted for hosted in self if hosted.supervisor is supervisor]
        return sorted(found, key=lambda hosted: hosted.exec_id is not None)

    def close(self) -> None:
        """Gives all descriptors back."""
        for hosted in self:
            hosted.close()
        self._hosted.clear()
