"""One blob from a registry: verified as it comes, resumed by range where a connection, or an earlier pull, broke."""

from __future__ import annotations

import hashlib
import http
import re
from collections.abc import Callable

from shoal.errors import InvalidArgument
from shoal.image.failures import explained
from shoal.image.partial_blob import BlobWriter, OtherContent, PartialBlob
from shoal.image.registry.failures import Refused, Unreachable
from shoal.image.registry.session import Session
from shoal.image.registry.transport import Interrupted, RegistryTransport, Response
from shoal.oci.descriptor import Descriptor
from shoal.oci.digest import algorithm_of, parse_digest

_TRIES = 5
_PAUSE_S = 0.1
_RANGE = re.compile(r"bytes (\d+)-\d+/(?:\d+|\*)\Z")


def blob_failure(descriptor: Descriptor, why: str) -> InvalidArgument:
    """The error of a blob that is not what its descriptor promises."""
    return InvalidArgument(f"filesystem layer verification failed for digest {descriptor.digest}", why=why)


class Download:
    """The rest of the blob of `descriptor`, on its way into `blob`.

    `check` is called again and again, and raises what ends it; `hear` is told of the bytes so far, `retrying` of
    another attempt.
    """

    def __init__(
        self,
        transport: RegistryTransport,
        session: Session,
        descriptor: Descriptor,
        blob: PartialBlob,
        check: Callable[[], None],
        hear: Callable[[int], None],
        retrying: Callable[[int], None],
    ) -> None:
        self._transport = transport
        self._session = session
        self._descriptor = descriptor
        self._blob = blob
        self._check = check
        self._hear = hear
        self._retrying = retrying
        self._may_range = True

    def fetch(self) -> None:
        """Nothing, once the whole blob is there, verified; another pull may have done it.

        Raises: InvalidArgument for content that is not what was promised; Refused, Unreachable, Cancelled; Internal
        for a full disk.
        """
        while True:
            try:
                with self._blob.writing(self._check, self._hear) as writer:
                    if writer is not None:
                        self._until_whole(writer)
                return
            except OtherContent as other:
                # What an earlier process left may be damaged (the machine lost its power): then from the beginning.
                if not other.is_old:
                    raise blob_failure(self._descriptor, f"its content has {other.digest}") from None
            except OSError as error:
                raise explained(error, doing="pull image") from error

    def _until_whole(self, writer: BlobWriter) -> None:
        """Ask for the rest as often as connections break and something came."""
        attempt = 1
        while True:
            before = writer.position
            try:
                self._once(writer)
                break
            except (Unreachable, Refused) as error:
                if isinstance(error, Refused) and error.http_status < 500 and not self._without_range(error):
                    raise
                attempt = 1 if writer.position > before else attempt + 1
                if attempt > _TRIES:
                    raise
                self._retrying(attempt)
                self._transport.wait(_PAUSE_S * 2**attempt)
        writer.finish()

    def _without_range(self, error: Refused) -> bool:
        """Whether the registry may serve the whole where it did not serve the rest."""
        if error.http_status != http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE or not self._may_range:
            return False
        self._may_range = False
        return True

    def _once(self, writer: BlobWriter) -> None:
        begin = writer.position
        if begin < self._descriptor.size or not begin:
            headers = {"Range": f"bytes={begin}-"} if begin and self._may_range else {}
            url = self._session.url(f"blobs/{self._descriptor.digest}")
            with self._session.send("GET", url, accepted=(200, 206), headers=headers) as response:
                self._take(response, self._superfluous(response, begin), writer)
        if writer.position < self._descriptor.size:
            why = f"it has {writer.position} of the {self._descriptor.size} bytes promised"
            raise Interrupted(str(blob_failure(self._descriptor, why)))

    def _superfluous(self, response: Response, begin: int) -> int:
        """How many bytes of the answer are here already: those before `begin`, if the registry began at the first."""
        if response.status != 206:
            return begin
        match = _RANGE.match(response.header("Content-Range"))
        if match is None or int(match[1]) != begin:
            raise blob_failure(self._descriptor, "the registry sent another range than it was asked for")
        return 0

    def _take(self, response: Response, superfluous: int, writer: BlobWriter) -> None:
        for chunk in response.chunks():
            self._check()
            data = chunk[superfluous:]
            superfluous = max(0, superfluous - len(chunk))
            if writer.position + len(data) > self._descriptor.size:
                raise blob_failure(self._descriptor, f"it has more than the {self._descriptor.size} bytes promised")
            writer.append(data)
            self._hear(writer.position)


def read_blob(session: Session, descriptor: Descriptor, limit: int) -> bytes:
    """A small blob, verified. Raises: as Download.fetch."""
    if descriptor.size > limit:
        raise InvalidArgument(f"cannot use {descriptor.digest}", why=f"its size is over {limit} bytes")
    raw, _ = session.fetch(session.url(f"blobs/{descriptor.digest}"), limit)
    algorithm = algorithm_of(parse_digest(descriptor.digest))
    if len(raw) != descriptor.size or f"{algorithm}:{hashlib.new(algorithm, raw).hexdigest()}" != descriptor.digest:
        raise blob_failure(descriptor, "its content is another")
    return raw
