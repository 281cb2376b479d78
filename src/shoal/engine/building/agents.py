"""Agents of ssh for commands of builds: a socket of the command's own, and what comes there passed on to the agent.

The agent answers nobody but its owner and root, and the command may be run by any user: so shoald stands between.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from shoal.build.ports import StepMount
from shoal.errors import Unavailable
from shoal.linux.fd import Fd

_CONNECTIONS_MAX = 32
_PIECE_BYTES = 64 * 1024


@asynccontextmanager
async def relayed(path: Path, mount: StepMount) -> AsyncIterator[None]:
    """Have a socket at `path`, of the mount's owner and mode, through which the agent is spoken to, within the block.

    Raises: Unavailable where the agent does not answer; OSError.
    """
    try:
        _, probe = await asyncio.open_unix_connection(mount.source)
    except OSError as error:
        why = (error.strerror or str(error)).lower()  # asyncio's own have no errno
        raise Unavailable(f"ssh agent {mount.source} can't be reached", why=why, fix="eval $(ssh-agent)") from error
    probe.close()
    relay = _Relay(mount.source)
    server = await asyncio.start_unix_server(relay.serve, sock=_listening(path, mount))
    try:
        yield
    finally:
        server.close()
        await relay.close()


def _listening(path: Path, mount: StepMount) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    try:
        with Fd(os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)) as directory:
            # The path itself may be longer than an address of a socket can be.
            listener.bind(f"/proc/self/fd/{directory.fileno()}/{path.name}")
        os.chown(path, *mount.owner)
        os.chmod(path, mount.mode)
    except BaseException:
        listener.close()
        raise
    return listener


class _Relay:
    """The connections to the agent at `agent`."""

    def __init__(self, agent: str) -> None:
        self._agent = agent
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until one side ends it."""
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            if len(self._tasks) <= _CONNECTIONS_MAX:
                await self._connect(reader, writer)
        except OSError:
            pass  # the agent is gone, or the command is: the other side sees the connection end
        finally:
            self._tasks.discard(task)
            writer.close()

    async def close(self) -> None:
        """End all of them."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers, agent = await asyncio.open_unix_connection(self._agent)
        ways = [asyncio.create_task(_pass_on(reader, agent)), asyncio.create_task(_pass_on(answers, writer))]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            agent.close()


async def _pass_on(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    while data := await source.read(_PIECE_BYTES):
        target.write(data)
        await target.drain()
