"""The log of a container, from its options to its lines: where it is written, and how it is read back."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

from shoal.api.host_config import LogConfig
from shoal.api.log import LogEntry
from shoal.api.options import LogOptions
from shoal.engine.container.log_drivers import REMOTE_DRIVERS, check_log_config, with_daemon_defaults
from shoal.engine.container.log_sinks import log_sink
from shoal.engine.container.log_syslog import LOCAL_ADDRESSES
from shoal.engine.container.record import ContainerRecord
from shoal.engine.container.waiters import Waiters
from shoal.engine.paths import Paths
from shoal.errors import InvalidArgument, ShoalError
from shoal.logs.changes import Changes
from shoal.logs.follow import follow_log
from shoal.logs.format import LogFormat
from shoal.logs.json_file import JsonFormat
from shoal.logs.local_file import LocalFormat
from shoal.logs.query import LogQuery
from shoal.logs.read import read_log
from shoal.logs.receivers import Receiver, reach, reach_first, resolve
from shoal.runtime.driver import LogSink, RemoteLog

_log = logging.getLogger(__name__)
_UNREADABLE = "configured logging driver does not support reading"


class ContainerLogs:
    """The logs of all containers. `default` is what a container gets that names no driver."""

    def __init__(self, paths: Paths, waiters: Waiters, default: LogConfig, hostname: str) -> None:
        self._paths = paths
        self._waiters = waiters
        self._default = default
        self._hostname = hostname
        self._changes = Changes()

    def chosen(self, config: LogConfig) -> LogConfig:
        """A new container's driver and options, complete. Raises: InvalidArgument for what there is not."""
        complete = with_daemon_defaults(config, self._default)
        check_log_config(complete)
        return complete

    async def opened(self, record: ContainerRecord) -> LogSink:
        """Where the output of a container goes that is about to start.

        Raises: InvalidArgument for a bad value, or a receiver that is not there.
        """
        try:
            sink = self._sink(record)
            if sink.remote is None:
                return sink
            return replace(sink, remote=await _reached(sink.remote, record.host_config.log_config))
        except ShoalError as problem:
            raise InvalidArgument(f"failed to initialize logging driver: {problem}", fix=problem.fix) from problem

    async def known(self, record: ContainerRecord) -> LogSink:
        """The same for one that runs: what cannot be had any more is done without."""
        try:
            sink = self._sink(record)
            if sink.remote is None:
                return sink
            return replace(sink, remote=_at(sink.remote, await resolve(_receiver(sink.remote))))
        except ShoalError as problem:
            _log.warning("container %s: its log is not sent any more: %s", record.name, problem)
            return LogSink("none")

    def _sink(self, record: ContainerRecord) -> LogSink:
        path, _ = self._place(record)
        if record.host_config.log_config.type not in ("json-file", "none"):
            path.parent.mkdir(mode=0o700, exist_ok=True)
        return log_sink(record, path, self._hostname)

    def _place(self, record: ContainerRecord) -> tuple[Path, LogFormat]:
        """The file in which a container's output is kept, and its format."""
        if record.host_config.log_config.type == "json-file":
            return self._paths.log_file(record.id), JsonFormat()
        return self._paths.local_log_file(record.id), LocalFormat()

    def read(self, record: ContainerRecord, options: LogOptions) -> AsyncIterator[list[LogEntry]]:
        """What the log holds; with `follow`, what comes too, until the container ends.

        Raises: InvalidArgument when nothing is kept that could be read.
        """
        if log_sink(record, Path(), self._hostname).driver == "none":
            raise InvalidArgument(_UNREADABLE, fix=_fix(record.host_config.log_config.type))
        path, format = self._place(record)
        query = LogQuery(
            stdout=options.stdout,
            stderr=options.stderr,
            since_ns=options.since_ns,
            until_ns=options.until_ns,
            tail=options.tail,
        )
        if options.follow and record.is_running:
            return self._follow(record, path, format, query)
        return read_log(path, format, query)

    async def _follow(
        self, record: ContainerRecord, path: Path, format: LogFormat, query: LogQuery
    ) -> AsyncIterator[list[LogEntry]]:
        ended = asyncio.Event()
        over = self._waiters.wait(record.id, "not-running")
        over.add_done_callback(lambda _: ended.set())
        if not record.is_running:
            ended.set()  # it ended between the request and the first read
        try:
            async for entries in follow_log(path, format, query, ended, self._changes):
                yield entries
        finally:
            over.cancel()


async def _reached(remote: RemoteLog, config: LogConfig) -> RemoteLog:
    """The remote with the address of a receiver that is there. Raises: InvalidArgument."""
    if config.type == "journald":
        if await reach_first([_receiver(remote)]) is None:
            raise InvalidArgument("journald is not enabled on this host", fix="use another --log-driver")
        return remote
    if config.config.get("syslog-address"):
        return _at(remote, await reach(_receiver(remote)))
    found = await reach_first([Receiver(*address) for address in LOCAL_ADDRESSES])
    if found is None:
        raise InvalidArgument("Unix syslog delivery error", fix="name a server with --log-opt syslog-address=…")
    return _at(remote, found)


def _receiver(remote: RemoteLog) -> Receiver:
    return Receiver(remote.protocol, remote.address, remote.port, remote.tls)


def _at(remote: RemoteLog, receiver: Receiver) -> RemoteLog:
    return replace(remote, protocol=receiver.protocol, address=receiver.address, port=receiver.port)


def _fix(driver: str) -> str:
    return "leave cache-disabled out" if driver in REMOTE_DRIVERS else "use another --log-driver"
