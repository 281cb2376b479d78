"""The streams of one process: from its FIFOs or terminal to the log and the clients, and back; runs in a supervisor.

    container            supervisor                                  clients
    stdout ═▶ FIFO ─────▶ read (through the journal) ──▶ log file
    stderr ═▶ FIFO ─────▶      "                     └─▶ fan-out ───▶ socket …
    stdin  ◀─ pipe ◀───── StdinSink ◀────────────────────────────────── socket …
    terminal: one pty master in place of the three

A FIFO is opened read-write here and by the container, so that no writer ever gets SIGPIPE: not when a supervisor
dies, not before its successor has opened it again. Reading stops while a client is too far behind (see attach.py).
"""

from __future__ import annotations

import fcntl
import os
import struct
import termios
import time

from shoal.supervisor.attach import CHUNK_BYTES, Client
from shoal.supervisor.journal import Journal
from shoal.supervisor.leftovers import Leftovers
from shoal.supervisor.logsink import LogSink, is_nowhere
from shoal.supervisor.loop import HANGUP, READABLE
from shoal.supervisor.stdin import StdinSink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from shoal.supervisor.loop import Loop
    from shoal.supervisor.protocol import AttachBody, LogBody

    class Listener(Protocol):
        """Whom the streams of a process tell."""

        def stdin_closed(self) -> None:
            """The process's stdin pipe is closed on this side."""

        def detached(self) -> None:
            """A client typed the detach keys."""

        def problem(self, text: str) -> None:
            """Something was lost, and the process goes on."""

        def flushed(self) -> None:
            """After `end_clients`: the last client and the log's receiver have everything."""


_TIOCGPTPEER = 0x5441
# How long one container may keep the others waiting with one chunk of output.
_SHORT_S, _LONG_S = 0.0002, 0.001
_LEAST_CHUNK_BYTES, _MOST_CHUNK_BYTES = 4 * 1024, 256 * 1024
# Of a container that writes a lot; fcntl(2).
_F_SETPIPE_SZ, _PIPE_BYTES = 1031, 256 * 1024


class Streams:
    """All streams of one process. It owns its descriptors, and its clients' sockets.

    `prefix` begins the names of the FIFOs in `run_dir`: "" for a container, "exec-ID-" for an exec.
    """

    __slots__ = (
        "_chunk_bytes", "_clients", "_early", "_finished", "_held_by", "_journal", "_listener", "_log", "_loop",
        "_outputs", "_peer", "_prefix", "_run_dir", "_started", "_stdin_once", "_widened", "master", "sink",
    )  # fmt: skip

    def __init__(self, loop: Loop, run_dir: str, prefix: str, listener: Listener, *, stdin_once: bool) -> None:
        self._loop = loop
        self._run_dir = run_dir
        self._prefix = prefix
        self._listener = listener
        self._stdin_once = stdin_once
        self._outputs: dict[str, int] = {}
        self._clients: list[Client] = []
        self._early: list[tuple[Client, bytes]] = []
        self._held_by: set[Client | LogSink] = set()
        self._log: LogSink | None = None
        self._journal: Journal | None = None
        self._started = False
        self._finished = False
        self._peer = -1
        self._chunk_bytes = CHUNK_BYTES
        self._widened: set[int] = set()
        self.master = -1
        self.sink: StdinSink | None = None

    # -- before the process runs ---------------------------------------------------------------------------------

    def make_pipes(self, *, open_stdin: bool) -> list[int]:
        """Makes FIFOs and stdin, and returns the process's ends (0, 1, 2), which the caller owns.

        stdin is /dev/null where nobody asked for it.
        """
        ends = []
        if open_stdin:
            read_end, write_end = os.pipe2(os.O_CLOEXEC)
            self._set_sink(write_end, is_pipe=True)
            ends.append(read_end)
        else:
            ends.append(os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC))
        for name in ("stdout", "stderr"):
            path = self._fifo(name)
            _unlink(path)
            os.mkfifo(path, 0o600)
            self._open_fifo(name)
            ends.append(os.open(path, os.O_RDWR | os.O_CLOEXEC))
        return ends

    def make_null(self) -> list[int]:
        """Ends for a process whose streams nobody wants."""
        return [os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC) for _ in range(3)]

    def set_terminal(self, master: int) -> None:
        """Takes the terminal's master. The peer is kept open too, so that it never seems hung up meanwhile."""
        self.master = master
        self._peer = fcntl.ioctl(master, _TIOCGPTPEER, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
        os.set_blocking(master, False)
        self._outputs["stdout"] = master
        self._set_sink(fcntl.fcntl(master, fcntl.F_DUPFD_CLOEXEC, 3), is_pipe=False)

    def set_log(self, log: LogBody, *, terminal: bool) -> None:
        """Writes all output to this log, too. Raises: OSError."""
        if is_nowhere(log):
            return
        names = ("stdout",) if terminal else ("stdout", "stderr")
        self._journal = Journal(self._run_dir, names, fresh=True)
        log_sink = self._open_sink(log)
        self._journal.begin(log_sink.inode, log_sink.size_bytes)

    def reopen(self, input_fd: int, *, terminal: bool, log: LogBody | None) -> None:
        """Takes over the streams of a process whose supervisor died; `input_fd` is stdin or the master, or -1."""
        if terminal and input_fd >= 0:
            self.set_terminal(input_fd)
        elif not terminal:
            if input_fd >= 0:
                self._set_sink(input_fd, is_pipe=True)
            for name in ("stdout", "stderr"):
                try:
                    self._open_fifo(name)
                except FileNotFoundError:
                    pass  # an exec whose streams nobody wanted; or its end was dealt with, but for telling of it
        if log is None or is_nowhere(log) or not os.path.isdir(self._run_dir):
            return
        self._journal = Journal(self._run_dir, ("stdout",) if terminal else ("stdout", "stderr"), fresh=False)
        if self._journal.recover(log["path"] or None):
            self._listener.problem("the log's last records were written again after a supervisor died")
        self._open_sink(log)
        for name, tail in self._journal.tails.items():
            self._to_log(name, tail)

    def _open_sink(self, log: LogBody) -> LogSink:
        sink = self._log = LogSink(log, self._loop, self._listener.problem)
        sink.on_room(lambda: self.release(sink))
        return sink

    @property
    def is_flushing(self) -> bool:
        """Whether a client, or a receiver of the log, has still something to get."""
        return bool(self._clients) or self._log is not None

    def add_client(self, options: AttachBody, fd: int) -> None:
        """Attaches a client, whose socket is owned here from now on."""
        client = Client(self._loop, self, fd, options)
        self._clients.append(client)
        if self._started:
            client.start(options["early"])
        else:
            self._early.append((client, options["early"]))

    # -- while it runs -------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begins to move data."""
        self._started = True
        for name, fd in self._outputs.items():
            self._loop.watch(fd, READABLE, _reader(self, name))
        early, self._early = self._early, []
        for client, data in early:
            client.start(data)

    def read_some(self, name: str, events: int) -> None:
        """Moves one chunk of output, as the loop says that there is some."""
        fd = self._outputs.get(name, -1)
        if fd >= 0 and self._move(name, fd) == 0 and events & HANGUP:
            self._loop.unwatch(fd)

    def handles(self) -> tuple[list[int], bool]:
        """What shoald is to keep duplicates of, and whether the last is for input.

        The FIFOs, because a pipe that nobody has open loses what is in it: a container might end while its supervisor
        is dead. And the terminal's master or stdin's pipe, because the other end would be hung up.
        """
        if self.master >= 0:
            return [self.master], True
        has_input = self.sink is not None and self.sink.fileno >= 0
        return [
            *self._outputs.values(),
            *([self.sink.fileno] if self.sink is not None and has_input else []),
        ], has_input

    def resize(self, rows: int, cols: int) -> None:
        """Gives the terminal a size. Raises: OSError."""
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))

    # -- what clients ask (attach.Host) --------------------------------------------------------------------------

    def input_from(self, data: bytes) -> bool:
        """Gives input to the process; swallowed where it has no stdin."""
        return self.sink is None or self.sink.write(data)

    def input_ended(self) -> None:
        """A client's input has ended: with stdin_once that ends the process's, too."""
        if self._stdin_once and self.sink is not None:
            self.sink.end()

    def hold(self, holder: Client | LogSink) -> None:
        """Stops reading until this client, or the log, has caught up."""
        if not self._held_by and self._started:
            for fd in self._outputs.values():
                self._loop.modify(fd, 0)
        self._held_by.add(holder)

    def release(self, holder: Client | LogSink) -> None:
        """Reads on, when it was the last that held."""
        if holder in self._held_by:
            self._held_by.discard(holder)
            if not self._held_by and self._started:
                for fd in self._outputs.values():
                    self._loop.modify(fd, READABLE)

    def client_detached(self, client: Client) -> None:  # noqa: ARG002  attach.Host
        """Tells of it."""
        self._listener.detached()

    def client_gone(self, client: Client) -> None:
        """Forgets it."""
        if client in self._clients:
            self._clients.remove(client)
            self._tell_flushed()

    def _tell_flushed(self) -> None:
        if self._finished and not self.is_flushing:
            self._listener.flushed()

    # -- the end -------------------------------------------------------------------------------------------------

    def finish(self, leftovers: Leftovers | None = None) -> None:
        """The process has ended: moves what is left, ends the log, removes the FIFOs. `end_clients` is to follow.

        With `leftovers`, what others of its making still print goes there, and they are not stopped by a full FIFO.
        """
        if leftovers is not None and self._started and self.master < 0:
            for name in self._outputs:
                leftovers.add(self._fifo(name))
        # From here on nothing is watched, so that a client that cannot take the rest finds nothing to hold back.
        was_started, self._started = self._started, False
        for name, fd in self._outputs.items():
            if was_started:
                self._loop.unwatch(fd)
            while self._move(name, fd):
                pass
        self._end_log()
        self._close()

    def end_clients(self) -> None:
        """Lets the clients of a finished process have what waits for them, and go."""
        for client in tuple(self._clients):
            client.finish()
        self._finished = True

    def discard(self) -> None:
        """The process never ran: everything goes, and the clients' connections stay with whoever has them."""
        for client in tuple(self._clients):
            client.drop()
        if self._journal is not None:
            self._journal.remove()
            self._journal = None
        if self._log is not None:
            self._log.drop()
            self._log = None
        self._close()

    def _move(self, name: str, fd: int) -> int:
        """Moves up to one chunk from the process to log and clients; returns its size."""
        limit = self._chunk_bytes
        try:
            if self._journal is None:
                data = os.read(fd, limit)
            elif fd == self.master:
                data = os.read(fd, limit)
                self._journal.put(name, data)
            else:
                data = self._journal.take(name, fd, limit)
        except OSError:
            return 0  # EAGAIN: nothing there; EIO: the terminal has no user any more
        if data:
            begun = time.thread_time() if len(data) == limit else None
            for client in tuple(self._clients):
                client.send(name, data)
            if self._log is not None and self._journal is not None:
                self._to_log(name, self._journal.tails[name] + data)
            if begun is not None:
                self._adapt(fd, time.thread_time() - begun)
        return len(data)

    def _adapt(self, fd: int, took_s: float) -> None:
        """After a full chunk: the next one is larger or smaller, so that other containers wait for it a moment only."""
        if took_s > _LONG_S:
            self._chunk_bytes = max(self._chunk_bytes // 2, _LEAST_CHUNK_BYTES)
        elif took_s < _SHORT_S and self._chunk_bytes < _MOST_CHUNK_BYTES:
            self._chunk_bytes *= 2
        if fd not in self._widened:
            # It writes faster than it is read: fewer, larger moves.
            self._widened.add(fd)
            _widen(fd)

    def _to_log(self, name: str, data: bytes) -> None:
        if self._log is not None and self._journal is not None:
            tail = self._log.write(name, data, time.time_ns())
            self._journal.settle(name, tail, self._log.inode, self._log.size_bytes)
            if self._log.is_full:
                self.hold(self._log)

    def _end_log(self) -> None:
        if self._log is not None and self._journal is not None:
            for name, tail in tuple(self._journal.tails.items()):
                self._log.finish(name, tail, time.time_ns())
                self._journal.settle(name, b"", self._log.inode, self._log.size_bytes)
            self._journal.remove()
            self._journal = None
            if self._log.close(self._log_closed):
                self._log = None

    def _log_closed(self) -> None:
        """What waited for the log's receiver is sent, or lost."""
        self._log = None
        self._tell_flushed()

    def _set_sink(self, fd: int, *, is_pipe: bool) -> None:
        self.sink = StdinSink(self._loop, fd, is_pipe=is_pipe)
        self.sink.on_drained = self._resume_inputs
        if is_pipe:
            self.sink.on_closed = self._listener.stdin_closed

    def _resume_inputs(self) -> None:
        for client in tuple(self._clients):
            client.resume_input()

    def _fifo(self, name: str) -> str:
        return f"{self._run_dir}/{self._prefix}{name}"

    def _open_fifo(self, name: str) -> None:
        self._outputs[name] = os.open(self._fifo(name), os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)

    def _close(self) -> None:
        if self.sink is not None:
            self.sink.on_closed = self.sink.on_drained = None
            self.sink.close()
            self.sink = None
        for fd in self._outputs.values():
            os.close(fd)
        self._outputs = {}
        if self._peer >= 0:
            os.close(self._peer)
            self._peer = -1
        self.master = -1
        for name in ("stdout", "stderr"):
            _unlink(self._fifo(name))


class _reader:  # noqa: N801  a closure with a name
    """Calls `read_some` for one stream."""

    __slots__ = ("_name", "_streams")

    def __init__(self, streams: Streams, name: str) -> None:
        self._streams = streams
        self._name = name

    def __call__(self, events: int) -> None:
        self._streams.read_some(self._name, events)


def _widen(fd: int) -> None:
    try:
        fcntl.fcntl(fd, _F_SETPIPE_SZ, _PIPE_BYTES)
    except OSError:
        pass  # a terminal; or the user's pipes have come to their limit (pipe(7))


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass  # it is to be absent
