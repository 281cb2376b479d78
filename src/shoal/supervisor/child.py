"""The child between clone and execve: becomes a container's first process, or an exec's, by running a plan.

It is a copy of the supervisor, in new namespaces. Nothing is imported here: after pivot_root the standard library
cannot be reached. A child may be cloned ahead of time (a blank) and then waits for its plan. It dies with its
supervisor, by PR_SET_PDEATHSIG and by the end of its channel, until its execve.
"""

from __future__ import annotations

import _socket
import errno
import gc
import os
import signal

from shoal.errors import ShoalError, SyscallError, errno_text
from shoal.linux.libc import close_range
from shoal.linux.prctl import set_pdeathsig
from shoal.supervisor.entrance import enter
from shoal.supervisor.protocol import encode, receive, send_nowait
from shoal.supervisor.steps import STEPS
from shoal.supervisor.steps.context import Context
from shoal.supervisor.steps.execute import fail_started
from shoal.supervisor.steps.preparation import Prepared

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from shoal.supervisor.protocol import Body
    from shoal.supervisor.steps.context import Channel

_SIGNALS = tuple(int(number) for number in range(1, 65) if number not in (signal.SIGKILL, signal.SIGSTOP, 32, 33))


# Before the first of these the container has started: from then on a filter of the user's may forbid everything.
_LAST_STEPS = ("seccomp", "exec")


class ChildChannel:
    """The child's end of its channel to the supervisor, as steps see it (steps/context.py)."""

    __slots__ = ("_reached", "_sock")

    def __init__(self, sock: _socket.socket) -> None:
        self._sock = sock
        self._reached: set[str] = set()

    def plan(self, prepared: Prepared) -> tuple[Body, list[int]]:
        """The plan and its descriptors, once it comes; what can be done before, is. Raises: SupervisorGone."""
        kind, body, fds = self._receive()
        while kind != "plan":
            if kind == "prepare":
                prepared.make(body["steps"])
            else:
                self._note(kind, body, fds)
            kind, body, fds = self._receive()
        return body, fds

    def wait(self, barrier: str) -> None:
        """Returns when the supervisor has said that `barrier` is reached. Raises: SupervisorGone."""
        while barrier not in self._reached:
            self._note(*self._receive())

    def send_fd(self, kind: str, fd: int) -> None:
        """Gives the supervisor a copy of a descriptor."""
        send_nowait(self._sock, encode("fd", 0, {"kind": kind}), [fd])

    def warn(self, text: str) -> None:
        """Tells of something that was not done as asked."""
        self.tell("warn", {"text": text})

    def tell(self, kind: str, body: Body) -> None:
        """Sends a message without descriptors."""
        send_nowait(self._sock, encode(kind, 0, body))

    def close(self) -> None:
        """Says by its end what an execve says: the process runs, for one that does not execute anything."""
        self._sock.close()

    def _receive(self) -> tuple[str, Body, list[int]]:
        message = receive(self._sock)
        if message is None:
            raise SupervisorGone
        return message[0], message[2], message[3]

    def _note(self, kind: str, body: Body, fds: list[int]) -> None:
        if kind == "go":
            # With "cgroup" come the files through which to enter it.
            enter(fds)
            self._reached.add(body["barrier"])


class SupervisorGone(Exception):
    """The supervisor died, or does not want this child any more."""


def child_main(sock: _socket.socket) -> NoReturn:
    """Runs what the supervisor sends, and never returns. `sock` is the child's end of the channel.

    # SAFETY: runs between clone and exec in a copy of a single-threaded process: no lock can be held by a thread
    # that does not exist here. os._exit keeps the supervisor's clean-up code from running twice.
    """
    try:
        set_pdeathsig(signal.SIGKILL)
        # The supervisor's objects must not be collected here: each would close a number that is another file by then.
        gc.disable()
        if sock.fileno() > 3:
            close_range(3, sock.fileno() - 1)
        close_range(sock.fileno() + 1)
        for number in _SIGNALS:
            # Ignored by the interpreter, by the supervisor, or by whoever started shoald in the background: an ignored
            # signal would stay so after execve.
            if signal.getsignal(number) == signal.SIG_IGN:
                signal.signal(number, signal.SIG_DFL)
        _run(ChildChannel(sock))
    except SupervisorGone:
        os._exit(0)
    except BaseException:  # noqa: BLE001  the edge of this process
        os._exit(1)
    os._exit(1)


def _run(channel: ChildChannel) -> None:
    current = "plan"
    free = False
    try:
        prepared = Prepared()
        body, fds = channel.plan(prepared)
        steps = [(name, STEPS[name].from_wire(arguments)) for name, arguments in body["steps"]]
        stdio = body["stdio"]
        ends = (fds[stdio[0]], fds[stdio[1]], fds[stdio[2]]) if stdio is not None else None
        context = Context(channel, ends, {kind: fds[index] for kind, index in body["joins"].items()}, prepared)
        for current, step in steps:
            if not free and current in _LAST_STEPS:
                let_go(channel)
                free = True
            step.run(context)
    except SupervisorGone:
        raise
    except BaseException as error:  # noqa: BLE001  told to the supervisor, as the last thing
        if free:
            fail_started(f"{current}: {error}".encode())
        channel.tell("error", describe_error(error, current))


def let_go(channel: Channel) -> None:
    """Waits until the child may run for good; from here on it outlives its supervisor, and has started.

    A supervisor that has died meanwhile does not take the word, and the child ends.
    """
    channel.wait("cgroup")
    # A plan without an interface to configure has no step that waits for it.
    channel.wait("network")
    set_pdeathsig(0)
    channel.tell("executing", {})


def describe_error(error: BaseException, step: str) -> Body:
    """The error as data for a message: kind, what, why, fix, and what the kernel said."""
    body: Body = {"kind": "Internal", "what": "", "why": "", "fix": "", "step": step, "syscall": "", "object": ""}
    body["errno"] = 0
    if isinstance(error, ShoalError):
        body.update(kind=type(error).__name__, what=error.what, why=error.why, fix=error.fix)
        if isinstance(error, SyscallError):
            body.update(kind="Internal", syscall=error.syscall, object=error.object, errno=error.errno)
    elif isinstance(error, OSError):
        code = error.errno or errno.EIO
        body.update(what=f"{step} `{error.filename or ''}`", why=errno_text(code), errno=code)
    else:
        body.update(what=f"{step}: {type(error).__name__}: {error}", why=_place(error))
    return body


def _place(error: BaseException) -> str:
    """Where the error was raised, found without the traceback module."""
    trace = error.__traceback__
    place = ""
    while trace is not None:
        place = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place
