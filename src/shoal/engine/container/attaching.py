"""A client at a container's streams (Docker API v1.50 ContainerAttach)."""

from __future__ import annotations

import asyncio
import socket

from shoal.api.options import AttachOptions, LogOptions
from shoal.api.stdcopy import encode_frame
from shoal.engine.container.clients import WaitingClients
from shoal.engine.container.container_logs import ContainerLogs
from shoal.engine.container.locks import ContainerLocks
from shoal.engine.container.record import ContainerRecord
from shoal.engine.container.registry import ContainerRegistry
from shoal.engine.events import EventLog
from shoal.errors import NotFound
from shoal.linux.fd import Fd
from shoal.runtime.driver import AttachOptions as StreamOptions
from shoal.runtime.driver import Client, RuntimeDriver, StreamTarget


class ContainerAttachment:
    """Leave to attach: only the client's socket is missing."""

    def __init__(
        self,
        record: ContainerRecord,
        options: AttachOptions,
        registry: ContainerRegistry,
        driver: RuntimeDriver,
        clients: WaitingClients,
        locks: ContainerLocks,
        logs: ContainerLogs,
        events: EventLog,
    ) -> None:
        self._record = record
        self._options = options
        self._registry = registry
        self._driver = driver
        self._clients = clients
        self._locks = locks
        self._logs = logs
        self._events = events

    @property
    def mux(self) -> bool:
        """Whether the streams are framed: they are without a terminal, if the client wants it so."""
        return self._options.framed and not self._record.config.tty

    async def connect(self, client: Fd, early: bytes) -> None:
        """Puts `client` at the streams: now when the container runs, else when it starts.

        Raises: NotFound when it was removed meanwhile; what the driver raises.
        """
        record, options = self._record, self._options
        if options.logs:
            await self._replay(client)
        if not options.stream or not (options.stdin or options.stdout or options.stderr):
            client.close()
            return
        streams = StreamOptions(
            stdin=options.stdin and record.config.open_stdin,
            stdout=options.stdout,
            stderr=options.stderr,
            mux=self.mux,
            detach_keys=options.detach_keys if record.config.tty else b"",
        )
        self._events.publish("container", "attach", record.id, record.attributes())
        async with self._locks.hold(record.id):  # a start in progress has taken its clients already
            if self._registry.get(record.id) is not record:
                client.close()
                raise NotFound(f"No such container: {record.id}")
            if record.is_running:
                await self._driver.attach(StreamTarget(record.id), streams, client, early)
            else:
                self._clients.add(record.id, Client(streams, client, early))

    async def _replay(self, client: Fd) -> None:
        """Sends what the log holds already."""
        loop = asyncio.get_running_loop()
        options = LogOptions(stdout=self._options.stdout, stderr=self._options.stderr)
        with socket.socket(fileno=client.dup().detach()) as connection:
            connection.setblocking(False)
            async for entries in self._logs.read(self._record, options):
                pieces = [encode_frame(e.stream, e.data) if self.mux else e.data for e in entries]
                await loop.sock_sendall(connection, b"".join(pieces))
