"""One container's resolver: its sockets, served on the event loop of shoald.

    datagram ─▶ read ─▶ a container's name: answered at once
                     └▶ another name: a task asks the upstreams, so many at a time
    stream   ─▶ a task for each connection, so many at a time

A container that asks without end gets half of the loop's time at most: after a full batch of its questions, its socket
rests for as long as they took.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections.abc import Callable, Coroutine
from typing import Any

from shoal.network.dns.answer import answer_empty, answer_malformed, answer_truncated
from shoal.network.dns.forwarding import Forwarder, receive_message
from shoal.network.dns.names import Names, Upstream
from shoal.network.dns.question import SERVFAIL, Malformed, Question, read_question
from shoal.network.dns.responder import local_answer
from shoal.network.dns.sockets import NamespaceSockets, Place

# Begins a task, or, when the daemon is about to leave, none.
Spawn = Callable[[Coroutine[Any, Any, object], str], asyncio.Task[None] | None]
Address = tuple[Any, ...]

MOST_FORWARDED = 64
MOST_CONNECTIONS = 16
_BATCH = 16
_LONGEST_QUERY = 4096
_IDLE_S = 10.0
_REST_S = 0.2
_LENGTH = struct.Struct(">H")


class Resolver:
    """Answers the container `id`, whose sockets `place` holds, from now until `close`."""

    def __init__(
        self,
        id: str,
        place: Place,
        names: Names,
        sockets: NamespaceSockets,
        spawn: Spawn,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._id = id
        self._place = place
        self._names = names
        self._sockets = sockets
        self._spawn = spawn
        self._clock_s = clock_s
        self._forwarder = Forwarder(self._open_socket, clock_s)
        self._forwarded = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._connections: set[socket.socket] = set()
        self._pause: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(place.server, self._read_datagrams)
        self._rest: asyncio.TimerHandle | None = None
        self._listen()

    @property
    def namespace_fd(self) -> int:
        """The descriptor of the network namespace that is served."""
        return self._place.namespace.fileno()

    def close(self) -> None:
        """Answers no more, and lets go of the namespace. Harmless when repeated."""
        for timer in (self._pause, self._rest):
            if timer is not None:
                timer.cancel()
        if self._place.server.fileno() >= 0:
            self._loop.remove_reader(self._place.server)
            self._loop.remove_reader(self._place.listener)
        self._place.close()
        for task in self._tasks:
            task.cancel()

    # -- datagrams --------------------------------------------------------------------------------------------

    def _read_datagrams(self) -> None:
        server = self._place.server
        began_s = self._clock_s()
        for _ in range(_BATCH):
            try:
                query, client = server.recvfrom(_LONGEST_QUERY)
            except OSError:
                return  # EAGAIN: no more for now; an error of an earlier answer, told here, is nobody's
            answer = self._answer_nowait(query, client)
            if answer is not None:
                self._send(answer, client)
        self._loop.remove_reader(server)
        self._pause = self._loop.call_later(self._clock_s() - began_s, self._go_on)

    def _go_on(self) -> None:
        self._loop.add_reader(self._place.server, self._read_datagrams)

    def _send(self, answer: bytes, client: Address) -> None:
        try:
            self._place.server.sendto(answer, client)
        except OSError:
            pass  # the client has gone, or reads too slowly: it asks again

    def _answer_nowait(self, query: bytes, client: Address) -> bytes | None:
        """The answer, unless there is none, or none yet."""
        try:
            question = read_question(query)
        except Malformed as problem:
            return None if problem.code is None else answer_malformed(query, problem.code)
        answer = local_answer(self._id, self._names, question, stream=False)
        if answer is None:
            if self._forwarded >= MOST_FORWARDED:
                return answer_empty(question, SERVFAIL)
            self._begin(self._forward_datagram(query, question, client), "asking a name server")
        return answer

    async def _forward_datagram(self, query: bytes, question: Question, client: Address) -> None:
        answer = await self._forward(query, question, stream=False)
        if len(answer) > question.payload:
            answer = answer_truncated(question)
        self._send(answer, client)

    async def _forward(self, query: bytes, question: Question, *, stream: bool) -> bytes:
        if self._forwarded >= MOST_FORWARDED:
            return answer_empty(question, SERVFAIL)
        self._forwarded += 1
        try:
            upstreams = self._names.upstreams(self._id)
            return await self._forwarder.answer(query, question, upstreams, stream=stream)
        finally:
            self._forwarded -= 1

    # -- streams ----------------------------------------------------------------------------------------------

    def _listen(self) -> None:
        self._loop.add_reader(self._place.listener, self._accept)

    def _accept(self) -> None:
        try:
            connection, _ = self._place.listener.accept()
        except (BlockingIOError, ConnectionError):
            return  # it has gone again
        except OSError:
            # Out of descriptors: the connection waits on, and would wake the loop without end.
            self._loop.remove_reader(self._place.listener)
            self._rest = self._loop.call_later(_REST_S, self._listen)
            return
        if len(self._connections) >= MOST_CONNECTIONS:
            connection.close()
            return
        connection.setblocking(False)
        self._connections.add(connection)
        task = self._begin(self._serve(connection), "a container's connection to its resolver")
        if task is None:
            self._forget(connection)
        else:
            task.add_done_callback(lambda _: self._forget(connection))

    def _forget(self, connection: socket.socket) -> None:
        """Closes a connection whose task has ended, or never began."""
        self._connections.discard(connection)
        connection.close()

    async def _serve(self, connection: socket.socket) -> None:
        """Answers what comes by the connection, one question after the other."""
        try:
            while True:
                async with asyncio.timeout(_IDLE_S):
                    query = await receive_message(connection)
                    answer = await self._answer_stream(query)
                    if answer is None:
                        return
                    await self._loop.sock_sendall(connection, _LENGTH.pack(len(answer)) + answer)
                await asyncio.sleep(0)  # nothing above need have waited: others get their turn
        except (OSError, EOFError, TimeoutError):
            return

    async def _answer_stream(self, query: bytes) -> bytes | None:
        try:
            question = read_question(query)
        except Malformed as problem:
            return None if problem.code is None else answer_malformed(query, problem.code)
        answer = local_answer(self._id, self._names, question, stream=True)
        return await self._forward(query, question, stream=True) if answer is None else answer

    # -- both -------------------------------------------------------------------------------------------------

    def _begin(self, work: Coroutine[Any, Any, object], what: str) -> asyncio.Task[None] | None:
        task = self._spawn(work, what)
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return task

    async def _open_socket(
        self, upstream: Upstream, family: socket.AddressFamily, kind: socket.SocketKind
    ) -> socket.socket:
        if upstream.on_host:
            return socket.socket(family, kind | socket.SOCK_NONBLOCK)
        return await self._sockets.open(self._place, family, kind)
