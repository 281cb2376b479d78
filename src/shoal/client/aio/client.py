"""The Docker API as a Python object: one Client speaks to one engine.

    client = Client(parse_host("unix:///run/shoal/docker.sock"))
    await client.containers.list(all=True)

Objects of the API are reached through `containers`, `execs`, `images`, `volumes` and `system`; what they do not cover
goes through `call`. Any number of calls may run at once: each has a connection of its own as long as it lasts, and idle
ones are used again. Imports next to nothing, since `shoal` waits for it.
"""

from __future__ import annotations

from _collections_abc import Mapping  # `collections` costs a millisecond, and `os` has this one loaded

from shoal.api.version import MAXIMUM, MINIMUM
from shoal.client.aio.containers import Containers
from shoal.client.aio.driver import open_connection
from shoal.client.aio.http import Hijacked, HttpConnection, Response
from shoal.client.document import Document, Json, json_text, parse_document, parse_documents
from shoal.client.targets import request_target
from shoal.errors import InvalidArgument, Unavailable, Unsupported

_MOST_IDLE = 8

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Iterable
    from typing import TypeAlias

    from shoal.client.aio.archives import Archives
    from shoal.client.aio.artifacts import Artifacts
    from shoal.client.aio.execs import Execs
    from shoal.client.aio.images import Images
    from shoal.client.aio.networks import Networks
    from shoal.client.aio.system import System
    from shoal.client.aio.volumes import Volumes
    from shoal.client.transport import Transport

    Query: TypeAlias = Mapping[str, str | Iterable[str]]


class Client:
    """Speaks the Docker API over `transport`; connects on the first call.

    `version` fixes the API version (as DOCKER_API_VERSION does); otherwise the first call asks the engine and takes
    the newest that both know. A context manager: leaving it closes the idle connections.
    """

    def __init__(self, transport: Transport, *, version: str = "") -> None:
        if version and _numbers(version) is None:
            raise InvalidArgument(f"invalid API version `{version}`", fix=f"write it like {MAXIMUM}")
        self.transport = transport
        self._version = version
        self._idle: list[HttpConnection] = []
        self.containers = Containers(self)

    # Each group of calls is imported when it is first used: `shoal ps` needs one of them.

    @property
    def archives(self) -> Archives:
        """The calls on containers' files."""
        from shoal.client.aio.archives import Archives

        return Archives(self)

    @property
    def artifacts(self) -> Artifacts:
        """The calls on artifacts, which are no images."""
        from shoal.client.aio.artifacts import Artifacts

        return Artifacts(self)

    @property
    def execs(self) -> Execs:
        """The calls on further processes in containers."""
        from shoal.client.aio.execs import Execs

        return Execs(self)

    @property
    def images(self) -> Images:
        """The calls on images."""
        from shoal.client.aio.images import Images

        return Images(self)

    @property
    def networks(self) -> Networks:
        """The calls on networks."""
        from shoal.client.aio.networks import Networks

        return Networks(self)

    @property
    def system(self) -> System:
        """The calls on the engine itself."""
        from shoal.client.aio.system import System

        return System(self)

    @property
    def volumes(self) -> Volumes:
        """The calls on volumes."""
        from shoal.client.aio.volumes import Volumes

        return Volumes(self)

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the idle connections; the next call opens a new one."""
        while (connection := self._take_idle()) is not None:
            connection.close()

    async def negotiated_version(self) -> str:
        """The API version of the calls, negotiated if need be.

        Raises: Unavailable, Forbidden when no engine can be reached; Unsupported when it is too old.
        """
        if not self._version:
            response = await self._exchange("HEAD", "/_ping", {}, b"")
            await response.read()
            self._version = _negotiate(response.headers.get("api-version", ""))
        return self._version

    async def call(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        body: Mapping[str, Json] | bytes | AsyncIterable[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """The answer to one request, its body still unread. `path` is without the version prefix.

        A mapping is sent as JSON. Raises: the kind of error that the engine answered, or Unavailable.
        """
        fields = dict(headers or {})
        if body is None:
            payload: bytes | AsyncIterable[bytes] = b""
        elif isinstance(body, Mapping):
            payload = json_text(body).encode()
            fields["Content-Type"] = "application/json"
        else:
            payload = body
        version = await self.negotiated_version()
        response = await self._exchange(method, request_target(f"/v{version}{path}", query), fields, payload)
        if response.status == 304 or response.status >= 400:
            from shoal.client.refusals import error_from_answer  # an answer that is good does without

            raise error_from_answer(response.status, await response.read())
        return response

    async def document(
        self, method: str, path: str, *, query: Query | None = None, body: Mapping[str, Json] | None = None
    ) -> Document:
        """The JSON object that the engine answers. Raises: as `call`."""
        response = await self.call(method, path, query=query, body=body)
        return parse_document(await response.read(), f"the answer to {method} {path}")

    async def documents(self, method: str, path: str, *, query: Query | None = None) -> list[Document]:
        """The JSON objects of the list that the engine answers. Raises: as `call`."""
        response = await self.call(method, path, query=query)
        return parse_documents(await response.read(), f"the answer to {method} {path}")

    async def perform(
        self, method: str, path: str, *, query: Query | None = None, body: Mapping[str, Json] | None = None
    ) -> None:
        """Makes a call whose answer carries nothing. Raises: as `call`."""
        response = await self.call(method, path, query=query, body=body)
        await response.read()

    async def hijack(
        self, path: str, *, query: Query | None = None, body: Mapping[str, Json] | None = None
    ) -> Hijacked:
        """The raw stream that `POST path` turns into (attach, exec start). The caller closes it. Raises: as `call`."""
        upgrade = {"Connection": "Upgrade", "Upgrade": "tcp"}
        response = await self.call("POST", path, query=query, body=body, headers=upgrade)
        return response.hijack()

    async def _exchange(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes | AsyncIterable[bytes]
    ) -> Response:
        if (reused := self._take_idle()) is not None:
            try:
                return await reused.send(method, target, headers, body)
            except Unavailable:
                # The engine may have closed the idle connection before this request: ask once more on a fresh one.
                # Only what can be sent again without harm: nothing was answered, and a stream of pieces is used up.
                if not isinstance(body, bytes) or method not in ("GET", "HEAD"):
                    raise
        connection = HttpConnection(await open_connection(self.transport), "docker", self._keep_idle)
        return await connection.send(method, target, headers, body)

    def _take_idle(self) -> HttpConnection | None:
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:  # asked for so, and not before: another thread may take the last one
                return None
            if connection.idle:
                return connection
            connection.close()

    def _keep_idle(self, connection: HttpConnection) -> None:
        if len(self._idle) < _MOST_IDLE:
            self._idle.append(connection)
        else:
            connection.close()


def _negotiate(offered: str) -> str:
    """The version to speak with an engine whose newest is `offered` ("" means that it does not say)."""
    pair = _numbers(offered)
    if pair is None:
        return str(MINIMUM)
    if pair < MINIMUM:
        raise Unsupported(
            f"the engine speaks API version {offered}, this client needs {MINIMUM} or newer", fix="upgrade the engine"
        )
    return offered if pair < MAXIMUM else str(MAXIMUM)


def _numbers(version: str) -> tuple[int, int] | None:
    """(1, 50) for "1.50", None for what is no version."""
    major, _, minor = version.partition(".")
    if not (version.isascii() and major.isdecimal() and minor.isdecimal()):
        return None
    return int(major), int(minor)
