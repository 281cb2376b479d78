"""What a push asks of one repository: whether a blob is there, to take one, to take a manifest.

    HEAD blob ── 200 ──▶ there already
    POST uploads?mount&from ── 201 ──▶ mounted from another repository of the registry
                            └─ 202 ──▶ PATCH the content as it is made ──▶ PUT digest

OCI distribution-spec §Push.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Protocol, TypeVar
from urllib.parse import quote, urlsplit

from shoal.errors import NotFound
from shoal.image.registry.addresses import followed
from shoal.image.registry.failures import Refused, Unreachable
from shoal.image.registry.progress import Teller
from shoal.image.registry.resolving import Document
from shoal.image.registry.session import Session
from shoal.image.registry.transport import RegistryTransport, Response
from shoal.image.tar.compression import read_chunks
from shoal.oci.descriptor import Descriptor

T = TypeVar("T")
_TRIES = 5
_BODY_MAX = 64 << 10


class Content(Protocol):
    """A blob that is sent while it is made."""

    @property
    def digest(self) -> str:
        """The digest of what was sent, once it was."""

    def begin(self) -> Generator[bytes, None, None]:
        """Its bytes, from the first one on."""


class Uploads:
    """Into the repository that `session` speaks to. Raises everywhere: Refused, Unreachable, Cancelled."""

    def __init__(self, transport: RegistryTransport, session: Session) -> None:
        self._transport = transport
        self._session = session

    def exists(self, digest: str) -> bool:
        """Whether the repository has the blob."""
        with self._session.send("HEAD", self._session.url(f"blobs/{digest}"), accepted=(200, 404)) as response:
            return response.status == 200

    def mount(self, path: str, digest: str) -> str:
        """Have the registry take the blob from the repository `path`; "" if it did, else the upload that it began."""
        self._session.also(f"repository:{path}:pull")
        query = f"mount={quote(digest)}&from={quote(path, safe='')}"
        url = self._session.url(f"blobs/uploads/?{query}")
        with self._session.send("POST", url, accepted=(201, 202)) as response:
            response.head(_BODY_MAX)
        return "" if response.status == 201 else _location(response)

    def persistently(self, act: Callable[[], T]) -> T:
        """What `act` gives; it is begun anew where a connection broke, or the registry stumbled or was busy."""
        for attempt in range(1, _TRIES):
            try:
                return act()
            except (Unreachable, Refused) as error:
                if isinstance(error, Refused) and error.http_status < 500 and error.http_status != 429:
                    raise
                self._transport.wait(self._transport.settings.retry_pause_s * 2**attempt)
        return act()

    def stream(self, content: Content, upload: str = "") -> None:
        """Send a blob to the place `upload` where one was given."""
        if not upload:
            upload = self._begin()
        headers = {"Content-Type": "application/octet-stream"}
        with self._session.send("PATCH", upload, accepted=(202,), headers=headers, body=content.begin) as response:
            response.head(_BODY_MAX)
        self._put(_location(response), content.digest, b"")

    def whole(self, digest: str, raw: bytes) -> None:
        """Send a small blob at once."""
        self._put(self._begin(), digest, raw)

    def manifest(self, tag: str, document: Document) -> Response:
        """Give the repository a manifest under a tag; the answer, which is closed."""
        url = self._session.url(f"manifests/{tag}")
        headers = {"Content-Type": document.media_type}
        with self._session.send("PUT", url, accepted=(200, 201, 202), headers=headers, body=document.raw) as response:
            response.head(_BODY_MAX)
        return response

    def _begin(self) -> str:
        """Where a new upload goes."""
        with self._session.send("POST", self._session.url("blobs/uploads/"), accepted=(202,)) as begun:
            begun.head(_BODY_MAX)
        return _location(begun)

    def _put(self, upload: str, digest: str, body: bytes) -> None:
        """End an upload: with its last bytes, or all of them, and the digest of the whole."""
        url = f"{upload}{'&' if urlsplit(upload).query else '?'}digest={quote(digest)}"
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(len(body))}
        with self._session.send("PUT", url, accepted=(200, 201, 204), headers=headers, body=body) as response:
            response.head(_BODY_MAX)


class FileContent:
    """A blob as it lies in the file `path`; what is sent is what was verified when it came."""

    def __init__(
        self, teller: Teller, transport: RegistryTransport, id: str, path: str, descriptor: Descriptor
    ) -> None:
        self._teller = teller
        self._transport = transport
        self._id = id
        self._path = path
        self._size_bytes = descriptor.size
        self.digest = descriptor.digest

    def begin(self) -> Generator[bytes, None, None]:
        """Its bytes, from the first one on. Raises: NotFound if it is gone in the meantime."""
        hear = self._teller.bytes_of(self._id, "Pushing", self._size_bytes)
        done = 0
        try:
            file = open(self._path, "rb", buffering=0)  # noqa: SIM115 (closed below, where what it gives is read)
        except FileNotFoundError as error:
            raise NotFound(f"{self.digest} is here no more", why="it was removed while it was pushed") from error
        with file:
            for piece in read_chunks(file):
                self._transport.check()
                done += len(piece)
                hear(done)
                yield piece


def _location(response: Response) -> str:
    """Where an upload goes on. Raises: Refused where the registry doesn't say it."""
    location = response.header("Location")
    if not location:
        what = f"received unexpected HTTP status from {response.asked}: no Location"
        raise Refused(what, code="", http_status=response.status)
    return followed(response.url, location)
