"""The child between clone and execve: a copy of `create`, `run` or `exec` that becomes the container's process.

As in supervisor/child: nothing is imported here, because behind pivot_root the standard library is out of reach. Until
the container is made, the child dies with its maker; then it waits alone, as the container's first process, for
`start`.
"""

from __future__ import annotations

import _socket
import gc
import os
import signal

from shoal.linux.libc import close_range
from shoal.linux.prctl import set_pdeathsig
from shoal.supervisor.child import ChildChannel, SupervisorGone, describe_error
from shoal.supervisor.entrance import enter
from shoal.supervisor.protocol import receive
from shoal.supervisor.steps.context import Context

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

    from shoal.supervisor.steps.step import Step

_SIGNALS = tuple(int(number) for number in range(1, 65) if number not in (signal.SIGKILL, signal.SIGSTOP, 32, 33))
# What would end a program that does not care; the first process of a pid namespace has to care.
_ENDING = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
# From the first of these on, a filter of the user's may forbid prctl.
_LAST_STEPS = ("seccomp", "exec")
# Barriers of the last one: the container is made, and goes on at once (`run`), or when somebody connects (`create`).
START, LISTEN = "start", "listen"


class Inheritance:
    """What the child gets from its maker: its end of the channel, descriptors, and steps. All become its own.

    `entrances` are the files through which it enters its cgroups of version 1. `kept` are descriptors for the program.
    """

    __slots__ = ("entrances", "joins", "kept", "listener", "sock", "steps", "terminal", "trees")

    def __init__(self, sock: _socket.socket, steps: Sequence[Step], *, terminal: bool, kept: range) -> None:
        self.sock = sock
        self.steps = steps
        self.terminal = terminal
        self.kept = kept
        self.listener: _socket.socket | None = None
        self.joins: dict[str, int] = {}
        self.trees: dict[str, int] = {}
        self.entrances: list[int] = []

    def descriptors(self) -> set[int]:
        """All that the child goes on using."""
        listener = {self.listener.fileno()} if self.listener is not None else set()
        others = {*self.joins.values(), *self.trees.values(), *self.entrances}
        return {0, 1, 2, *self.kept, self.sock.fileno(), *listener, *others}


class RuntimeChannel(ChildChannel):
    """The child's end of its conversation: first with its maker, then with whoever calls `start`."""

    __slots__ = ("_listener",)

    def __init__(self, sock: _socket.socket, listener: _socket.socket | None) -> None:
        super().__init__(sock)
        self._listener = listener

    def wait(self, barrier: str) -> None:
        """Says which barrier is waited for, and returns behind it. Raises: SupervisorGone."""
        if barrier == "cgroup":
            return  # entered before the first step
        if barrier != START:
            self.tell("waiting", {"barrier": barrier})
            super().wait(barrier)
            return
        for number in _ENDING:
            signal.signal(number, lambda number, _frame: os._exit(128 + number))
        self.tell("waiting", {"barrier": barrier})
        while not self._reached & {START, LISTEN}:
            self._note(*self._receive())
        # From here on the container lives without its maker.
        set_pdeathsig(0)
        if START not in self._reached:
            self._await_start()
        if self._listener is not None:
            self._listener.close()
        for number in _ENDING:
            signal.signal(number, signal.SIG_DFL)

    def _await_start(self) -> None:
        """Takes the first connection that says "start"; errors go there from now on."""
        assert self._listener is not None
        self._sock.close()
        while True:
            fd, _ = self._listener._accept()  # type: ignore[attr-defined]
            connection = _socket.socket(fileno=fd)
            try:
                message = receive(connection)
            except OSError:
                message = None
            if message is not None and message[0] == START:
                self._sock = connection
                return
            connection.close()  # somebody who was killed before he could say it


def child_main(own: Inheritance) -> NoReturn:
    """Runs the steps, the last of which is execve; never returns.

    # SAFETY: runs between clone and exec in a copy of a single-threaded process: no lock can be held by a thread
    # that does not exist here. os._exit keeps the maker's clean-up code from running twice.
    """
    try:
        set_pdeathsig(signal.SIGKILL)
        # The maker's objects must not be collected here: each would close a number that is another file by then.
        gc.disable()
        _close_others(own.descriptors())
        for number in _SIGNALS:
            if signal.getsignal(number) != signal.SIG_DFL:
                signal.signal(number, signal.SIG_DFL)
        _run(RuntimeChannel(own.sock, own.listener), own)
    except SupervisorGone:
        os._exit(0)
    except BaseException:  # noqa: BLE001  the edge of this process
        os._exit(1)
    os._exit(1)


def _run(channel: RuntimeChannel, own: Inheritance) -> None:
    current = "cgroup"
    try:
        enter(own.entrances)
        context = Context(channel, None if own.terminal else (0, 1, 2), own.joins)
        context.trees = own.trees
        context.kept = own.kept
        for step in own.steps:
            current = step.name
            if current in _LAST_STEPS:
                # An `exec` has no barrier "start": from here on it lives without its maker.
                set_pdeathsig(0)
            step.run(context)
    except SupervisorGone:
        raise
    except BaseException as error:  # noqa: BLE001  told to whoever listens, as the last thing
        channel.tell("error", describe_error(error, current))


def _close_others(wanted: set[int]) -> None:
    """Closes every descriptor but these: nothing of the host's may be within the container's reach (CVE-2024-21626)."""
    first = 0
    for fd in sorted(wanted):
        if fd > first:
            close_range(first, fd - 1)
        first = fd + 1
    close_range(first)
