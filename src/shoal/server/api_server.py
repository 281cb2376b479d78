"""The API server: accepts clients on listening sockets that it is given, and ends in order.

    serve(sockets)    accept ── a task for each client, all in one TaskGroup
    close(grace_s)    1. no new clients   2. idle and endless connections end   3. the others end, or are ended

Runs in shoald, on its event loop.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Sequence
from functools import partial

from shoal.server.backend import Backend
from shoal.server.connection import Activity, Connection, Limits, Service
from shoal.server.handlers import HANDLERS
from shoal.server.hangup import HangupWatch
from shoal.server.http1 import Clock
from shoal.server.operations import OPERATIONS, UNPUBLISHED
from shoal.server.router import Route, Router
from shoal.server.tls import SecuredSocket, TlsRelay
from shoal.server.unserved import unserved

_log = logging.getLogger(__name__)

_ACCEPT_PAUSE_S = 0.2


def api_router() -> Router:
    """The router of the whole API, from the table of operations."""
    return Router(
        Route(operation.method, operation.path, HANDLERS.get(operation.id) or unserved(operation), operation.since)
        for operation in (*OPERATIONS, *UNPUBLISHED)
    )


class ApiServer:
    """Serves the Docker API for an engine. One `serve` in the life of an object."""

    def __init__(self, backend: Backend, *, limits: Limits | None = None) -> None:
        self._backend = backend
        self._limits = limits or Limits()
        self._connections: dict[Connection, asyncio.Task[None]] = {}
        self._relays: set[asyncio.Task[None]] = set()
        self._stop = asyncio.Event()
        self._stopped = asyncio.Event()
        self._room = asyncio.Event()
        self._has_begun = False
        self._grace_s = 0.0

    @property
    def connection_count(self) -> int:
        """How many clients are connected now; handed-over ones are not counted."""
        return len(self._connections)

    async def serve(self, sockets: Sequence[socket.socket]) -> None:
        """Nothing, when `close` has ended it all. Owns the listening sockets from the call on."""
        self._has_begun = True
        hangups = HangupWatch(asyncio.get_running_loop())
        try:
            service = Service(self._backend, api_router(), hangups, self._limits, Clock())
            async with asyncio.TaskGroup() as clients:
                acceptors = [clients.create_task(self._accept(listener, service, clients)) for listener in sockets]
                await self._stop.wait()
                service.is_stopping = True
                for acceptor in acceptors:
                    acceptor.cancel()
                await self._end_connections()
                for relay in self._relays:
                    relay.cancel()
        finally:
            for listener in sockets:
                listener.close()
            hangups.close()
            self._stopped.set()

    async def close(self, *, grace_s: float = 10.0) -> None:
        """Nothing, once no connection is left: requests that run get `grace_s` seconds to end.

        Before `serve` has begun it makes sure that it ends as soon as it begins.
        """
        self._grace_s = grace_s
        self._stop.set()
        if self._has_begun:
            await self._stopped.wait()

    async def _accept(self, listener: socket.socket, service: Service, clients: asyncio.TaskGroup) -> None:
        listener.setblocking(False)
        while True:
            try:
                client = await _accepted(listener)
            except OSError as error:
                # Out of descriptors, or the client left again: neither is a reason to stop listening.
                _log.warning("accept failed: %s", error)
                await asyncio.sleep(_ACCEPT_PAUSE_S)
                continue
            try:
                await self._wait_for_room()
            except asyncio.CancelledError:
                client.close()
                raise
            try:
                self._start(client, service, clients, listener)
            except Exception as error:  # noqa: BLE001 (an edge: out of descriptors, or the client left again)
                _log.warning("a client was not served: %s", error)
                client.close()

    async def _wait_for_room(self) -> None:
        while len(self._connections) >= self._limits.connections:
            for connection, task in self._connections.items():
                if connection.activity is Activity.IDLE:
                    task.cancel()  # the oldest idle one makes room
                    break
            self._room.clear()
            await self._room.wait()

    def _start(
        self, client: socket.socket, service: Service, clients: asyncio.TaskGroup, listener: socket.socket
    ) -> None:
        if client.family != socket.AF_UNIX:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # an event goes out when it happens
            client.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)  # a peer that lost its power is noticed
        # A client that showed its certificate is no web page, and may know this machine by any name.
        has_certificate = isinstance(listener, SecuredSocket) and listener.verifies
        may_be_page = client.family != socket.AF_UNIX and not has_certificate
        if isinstance(listener, SecuredSocket):
            client = self._unsealed(client, listener, clients)
        connection = Connection(client, service, may_be_page=may_be_page)
        self._connections[connection] = task = clients.create_task(connection.run())
        task.add_done_callback(partial(self._forget, connection))

    def _unsealed(self, client: socket.socket, listener: SecuredSocket, clients: asyncio.TaskGroup) -> socket.socket:
        """The plain socket behind a client's TLS connection, which a task of its own serves from now on."""
        relay = TlsRelay(client, listener.context)
        task = clients.create_task(relay.run())
        self._relays.add(task)
        task.add_done_callback(self._relays.discard)
        return relay.plain

    def _forget(self, connection: Connection, _task: asyncio.Task[None]) -> None:
        connection.close()  # a task that is cancelled before it began has not done so
        self._connections.pop(connection, None)
        self._room.set()

    async def _end_connections(self) -> None:
        for connection, task in self._connections.items():
            if connection.activity is not Activity.BUSY:
                task.cancel()
        remaining = list(self._connections.values())
        if remaining:
            _, late = await asyncio.wait(remaining, timeout=self._grace_s)
            for task in late:
                task.cancel()


async def _accepted(listener: socket.socket) -> socket.socket:
    """The next client's connection, not blocking. Raises: OSError.

    Not `loop.sock_accept`: cancelled in the moment when a client comes, it loses that client's connection and logs a
    failure (CPython 3.11).
    """
    loop = asyncio.get_running_loop()
    while True:
        try:
            client, _ = listener.accept()
        except BlockingIOError:
            ready = asyncio.Event()
            loop.add_reader(listener, ready.set)
            try:
                await ready.wait()
            finally:
                loop.remove_reader(listener)
        else:
            client.setblocking(False)
            return client
