"""Makes a template of a machine: boots one, has it settle, keeps its memory and its devices' state, and wakes a copy.

    python -SIB -c … DIRECTORY, where "recipe" has the command lines ─▶ boot ─▶ hello, settle ─▶ stop, state, memory
    ─▶ a copy is woken, and answers ─▶ exit 0: the template is there

A program of its own, so that whatever ends it ends its QEMU too, and the end of standard input ends it. Only then is
the template where it is looked for. Standard library only.
"""

from __future__ import annotations

import _socket
import marshal
import os
import signal
import sys

from shoal.errors import Unavailable
from shoal.linux.prctl import set_pdeathsig
from shoal.supervisor.child import describe_error
from shoal.supervisor.loop import READABLE, Loop
from shoal.supervisor.machine.mux import Mux
from shoal.supervisor.machine.places import RAM, RECIPE, STATE
from shoal.supervisor.machine.programs import Console, filled
from shoal.supervisor.machine.qmp import Qmp
from shoal.supervisor.machine.waking import Waking, extents, renewal
from shoal.supervisor.wire_errors import error_from_wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import NoReturn

    from shoal.supervisor.protocol import Body

_NICENESS = 10
_PATIENCE_S = 120.0
_PAGE = 4096
_ZEROS = bytes(_PAGE)
_CHUNK_BYTES = 1 << 20


def main(directory: str) -> NoReturn:
    """Ends with 0 when the template is whole; else with 1, and the reason on standard error."""
    try:
        set_pdeathsig(signal.SIGKILL)
        os.nice(_NICENESS)
        with open(f"{directory}/{RECIPE}", "rb") as file:
            recipe = marshal.loads(file.read())
        Making(directory, recipe).run()
        Trial(directory, recipe["trial"]).run()
    except BaseException as error:  # noqa: BLE001  the edge of this process: its last words are all that is left
        body = describe_error(error, "template")
        sys.stderr.write(f"{body['what']}: {body['why']}\n")
        sys.stderr.flush()
        os._exit(1)
    os._exit(0)


class Machine:
    """A QEMU of ours with its line, from its start until `done` or `fail`."""

    def __init__(self) -> None:
        self.loop = Loop()
        self.loop.on_error = self.fail
        self._console = Console(self.loop)
        self._failure: BaseException | None = None
        self._requests: dict[int, Callable[[Body], None]] = {}
        self._pid = 0
        self.loop.watch(0, READABLE, lambda _events: os._exit(1))
        self.loop.call_later(_PATIENCE_S, lambda: self.fail(Unavailable(f"it took over {_PATIENCE_S:.0f} s")))

    def start(self, command: list[str], descriptors: Mapping[str, int]) -> None:
        """Starts QEMU. It ends with us."""
        ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
        self._pid = _start(command, {**descriptors, "line": theirs.fileno(), "console": self._console.theirs})
        theirs.close()
        self._console.started()
        self._line = Mux(self.loop, ours.detach(), self._told, lambda: self.stopped("QEMU has ended"))

    def run(self) -> None:
        """Runs until `done`. Raises: what `fail` was called with."""
        try:
            self.loop.run()
        finally:
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
            self.loop.close()
        if self._failure is not None:
            raise self._failure

    def ask(self, kind: str, body: Body, then: Callable[[Body], None]) -> None:
        """Sends the guest a request."""
        number = len(self._requests) + 1
        self._requests[number] = then
        self._line.tell(kind, number, body)

    def hello(self) -> None:
        """The guest is up."""

    def stopped(self, why: str) -> None:
        """It does not go on."""
        self._console.read_rest()
        words = self._console.last_words()
        self.fail(Unavailable("a template's machine has failed", why=f"{why}; {words}" if words else why))

    def fail(self, error: BaseException) -> None:
        """Ends it with an error; the first one counts."""
        self._failure = self._failure or error
        self.loop.stop()

    def _told(self, kind: str, request_id: int, body: Body) -> None:
        if kind == "hello":
            self.hello()
        elif kind == "error":
            self.fail(error_from_wire(body))
        elif kind == "reply" and request_id in self._requests:
            self._requests[request_id](body)


class Making(Machine):
    """The machine that becomes the template."""

    def __init__(self, directory: str, recipe: Body) -> None:
        super().__init__()
        self._directory = directory
        self._ram = os.memfd_create("template", os.MFD_CLOEXEC)
        os.ftruncate(self._ram, recipe["memory_bytes"])
        self._qmp = Qmp(self.loop)
        self._qmp.on_error, self._qmp.on_moved = self.stopped, self.loop.stop
        self.start(recipe["maker"], {"ram": self._ram, "qmp": self._qmp.theirs})
        self._qmp.started()

    def run(self) -> None:
        """Boots it and writes what it is made of. Raises: ShoalError, OSError."""
        try:
            super().run()
            _keep(self._ram, f"{self._directory}/{RAM}")
            for path in (f"{self._directory}/{STATE}", self._directory):
                _sync(path)
        finally:
            os.close(self._ram)

    def hello(self) -> None:
        self.ask("settle", {}, lambda _body: self._save())

    def _save(self) -> None:
        state = os.open(f"{self._directory}/{STATE}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        self._qmp.execute('{"execute":"stop"}')
        self._qmp.hand_over("state", state)
        self._qmp.execute('{"execute":"migrate","arguments":{"uri":"fd:state"}}')
        os.close(state)


class Trial(Machine):
    """A copy of the template, woken to see whether it answers."""

    def __init__(self, directory: str, command: list[str]) -> None:
        super().__init__()
        waking = Waking(self.loop, directory)
        self.start(command, waking.descriptors)
        waking.begin(with_files=False, then=self._woken, failed=self.stopped)

    def _woken(self) -> None:
        self.ask("renew", renewal(), lambda _body: self.loop.stop())


def _start(command: list[str], descriptors: Mapping[str, int]) -> int:
    """The pid of a program that gets these descriptors and is killed when this process ends, whatever ends it."""
    arguments = [filled(word, {name: str(fd) for name, fd in descriptors.items()}) for word in command]
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        try:
            set_pdeathsig(signal.SIGKILL)
            if os.getppid() == parent:
                os.dup2(descriptors["console"], 2)
                for fd in descriptors.values():
                    os.set_inheritable(fd, True)
                os.execv(arguments[0], arguments)
        finally:
            os._exit(127)
    return pid


def _sync(path: str) -> None:
    """Behind this what is there is on the disk. Raises: OSError."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _keep(memory: int, path: str) -> None:
    """Writes memory to a file, with holes where it is all zeros; behind this it is on the disk. Raises: OSError."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        end = os.fstat(memory).st_size
        os.ftruncate(file, end)
        for start, stop in extents(memory, end):
            for place in range(start, stop, _CHUNK_BYTES):
                data = os.pread(memory, min(_CHUNK_BYTES, stop - place), place)
                for offset in range(0, len(data), _PAGE):
                    page = data[offset : offset + _PAGE]
                    if page != _ZEROS:
                        os.pwrite(file, page, place + offset)
        os.fsync(file)
    finally:
        os.close(file)
