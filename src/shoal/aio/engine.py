"""The way in: `connect` gives an Engine, `run` runs one command and is done."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import datetime
from typing import Unpack

from shoal.aio.containers import Containers
from shoal.aio.images import Images
from shoal.aio.networks import Networks
from shoal.aio.running import run_container
from shoal.aio.streams import Stream
from shoal.aio.volumes import Volumes
from shoal.client.aio.client import Client
from shoal.client.aio.containers import filters_query
from shoal.client.document import Document, parse_document
from shoal.client.hosts import transport_from_environment
from shoal.client.options import Command, ContainerOptions, Selection, filters_of, moment_text
from shoal.client.results import Event, Output


class Engine:
    """One container engine: shoald, or any other that speaks the Docker API.

    Leaving its `async with` block closes its connections; what it started goes on. Any number of calls may run at once.

    >>> async with shoal.aio.connect() as engine:
    ...     (await engine.version()).text("Os")
    'linux'
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self.containers = Containers(client)
        self.images = Images(client)
        self.networks = Networks(client)
        self.volumes = Volumes(client)

    async def __aenter__(self) -> Engine:
        await self._client.negotiated_version()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the idle connections; the next call opens a new one."""
        self._client.close()

    @property
    def address(self) -> str:
        """Where the engine is, as in DOCKER_HOST."""
        return self._client.transport.address

    async def run(
        self,
        image: str,
        command: Command = None,
        *,
        input: bytes | str | None = None,
        check: bool = True,
        timeout_s: float | None = None,
        **options: Unpack[ContainerOptions],
    ) -> Output:
        """What a command wrote in a container of its own, which is gone afterwards, however this ends.

        `command` is a list of words, or a string that is split as a shell would (no shell runs). `input` goes to its
        standard input. An exception, a time limit, a cancellation or a Ctrl-C removes the container too.

        >>> (await engine.run("busybox", "echo hello")).text
        'hello\\n'
        >>> (await engine.run("busybox", ["wc", "-c"], input="four")).text
        '4\\n'

        Raises: ContainerFailed for an exit code that is not 0 (unless `check` is off); CommandTimedOut; NotFound for an
        image or a program that there is not; and the other kinds of `ShoalError`.
        """
        return await run_container(self._client, image, command, options, data=input, check=check, timeout_s=timeout_s)

    def events(
        self,
        *,
        since: datetime | float | None = None,
        until: datetime | float | None = None,
        filters: Selection | None = None,
    ) -> Stream[Event]:
        """What happens, as it happens; endless without `until`. `filters`: `{"type": "container", "event": "die"}`.

        >>> async with engine.events(since=0, until=time.time(), filters={"event": "create"}) as events:
        ...     [event.action async for event in events][:1]
        ['create']
        """
        return Stream(_events(self._client, moment_text(since), moment_text(until), filters_of(filters)))

    async def ping(self) -> str:
        """The API version that is spoken with the engine. Raises: Unavailable, Forbidden when it can't be reached."""
        await (await self._client.call("GET", "/_ping")).read()
        return await self._client.negotiated_version()

    async def version(self) -> Document:
        """Versions of the engine and its components. Docker API v1.50 SystemVersion."""
        return await self._client.system.version()

    async def info(self) -> Document:
        """The engine's state, and what it can do here. Docker API v1.50 SystemInfo."""
        return await self._client.system.info()

    async def disk_usage(self) -> Document:
        """What images, containers and volumes take. Docker API v1.50 SystemDataUsage."""
        return await self._client.system.disk_usage()


async def _events(
    client: Client, since: str, until: str, filters: Mapping[str, Sequence[str]]
) -> AsyncGenerator[Event]:
    query = filters_query(filters)
    query.update({name: value for name, value in (("since", since), ("until", until)) if value})
    response = await client.call("GET", "/events", query=query)
    try:
        async for line in response.lines():
            yield Event.parse(parse_document(line, "an event"))
    finally:
        response.close()


def connect(host: str | None = None, *, version: str = "") -> Engine:
    """The engine at `host` (`unix:///path`, `tcp://name:port`, `ssh://user@name`).

    Without one it is that of DOCKER_HOST (with DOCKER_TLS_VERIFY and DOCKER_CERT_PATH), else this machine's shoald.
    `version` fixes the API version, which is negotiated otherwise. Nothing is sent before the first call, or before
    `async with`.

    >>> async with shoal.aio.connect() as engine:
    ...     container = await engine.containers.create("busybox", "true", name="made")
    ...     await container.remove()
    """
    return Engine(Client(transport_from_environment(host), version=version))


async def run(
    image: str,
    command: Command = None,
    *,
    host: str | None = None,
    input: bytes | str | None = None,
    check: bool = True,
    timeout_s: float | None = None,
    **options: Unpack[ContainerOptions],
) -> Output:
    """What a command wrote in a container of its own, on the engine at `host`; see `connect` and `Engine.run`.

    >>> (await shoal.aio.run("busybox", "echo hello")).text
    'hello\\n'
    >>> await shoal.aio.run("busybox", "sh -c 'echo no >&2; exit 3'")
    Traceback (most recent call last):
        ...
    shoal.client.results.ContainerFailed: `sh -c 'echo no >&2; exit 3'` in busybox ended with exit code 3: no
    """
    async with connect(host) as engine:
        return await engine.run(image, command, input=input, check=check, timeout_s=timeout_s, **options)
