"""One blob from a registry into a file: verified as it comes, resumed by range where a connection broke."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable

from shoal.errors import InvalidArgument, ShoalError
from shoal.image.failures import explained
from shoal.image.registry.failures import Refused, Unreachable
from shoal.image.registry.session import Session
from shoal.image.registry.transport import Interrupted, RegistryTransport, Response
from shoal.image.tar.reader import write_all
from shoal.oci.descriptor import Descriptor
from shoal.oci.digest import algorithm_of, parse_digest

_TRIES = 5
_PAUSE_S = 0.1
_RANGE = re.compile(r"bytes (\d+)-\d+/(?:\d+|\*)\Z")


def blob_failure(descriptor: Descriptor, why: str) -> InvalidArgument:
    """The error of a blob that is not what its descriptor promises."""
    return InvalidArgument(f"filesystem layer verification failed for digest {descriptor.digest}", why=why)


class Download:
    """The blob of `descriptor` on its way into the new file `path`; `hear` is told of the bytes so far."""

    def __init__(
        self,
        transport: RegistryTransport,
        session: Session,
        descriptor: Descriptor,
        path: str,
        hear: Callable[[int], None],
        retrying: Callable[[int], None],
    ) -> None:
        self._transport = transport
        self._session = session
        self._descriptor = descriptor
        self._path = path
        self._hear = hear
        self._retrying = retrying
        self._algorithm = algorithm_of(parse_digest(descriptor.digest))
        self._hasher = hashlib.new(self._algorithm)
        self._got = 0

    def fetch(self) -> None:
        """Nothing, once the file holds the whole blob, verified.

        Raises: InvalidArgument for content that is not what was promised; Refused, Unreachable, Cancelled; Internal
        for a full disk.
        """
        try:
            fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise explained(error, doing="pull image") from error
        try:
            self._until_whole(fd)
        finally:
            os.close(fd)

    def _until_whole(self, fd: int) -> None:
        """Ask for the rest as often as connections break and something came."""
        attempt = 1
        while True:
            before = self._got
            try:
                self._once(fd)
                return
            except (Unreachable, Refused) as error:
                if isinstance(error, Refused) and error.http_status < 500:
                    raise
                attempt = 1 if self._got > before else attempt + 1
                if attempt > _TRIES:
                    raise
                self._retrying(attempt)
                self._transport.wait(_PAUSE_S * 2**attempt)

    def _once(self, fd: int) -> None:
        headers = {"Range": f"bytes={self._got}-"} if self._got else {}
        if self._got < self._descriptor.size or not self._got:
            url = self._session.url(f"blobs/{self._descriptor.digest}")
            with self._session.send("GET", url, accepted=(200, 206), headers=headers) as response:
                self._begin(response, fd)
                self._take(response, fd)
        if self._got < self._descriptor.size:
            raise Interrupted(str(self._short()))
        if f"{self._algorithm}:{self._hasher.hexdigest()}" != self._descriptor.digest:
            raise blob_failure(self._descriptor, f"its content has {self._algorithm}:{self._hasher.hexdigest()}")

    def _begin(self, response: Response, fd: int) -> None:
        """Go on where it stopped, if the registry does so as well; else from the beginning."""
        if response.status == 206:
            match = _RANGE.match(response.header("Content-Range"))
            if match is None or int(match[1]) != self._got:
                raise blob_failure(self._descriptor, "the registry sent another range than it was asked for")
        elif self._got:
            os.ftruncate(fd, 0)
            os.lseek(fd, 0, os.SEEK_SET)
            self._hasher = hashlib.new(self._algorithm)
            self._got = 0

    def _take(self, response: Response, fd: int) -> None:
        for chunk in response.chunks():
            self._got += len(chunk)
            if self._got > self._descriptor.size:
                raise blob_failure(self._descriptor, f"it has more than the {self._descriptor.size} bytes promised")
            self._hasher.update(chunk)
            try:
                write_all(fd, memoryview(chunk))
            except OSError as error:
                raise explained(error, doing="pull image") from error
            self._hear(self._got)

    def _short(self) -> ShoalError:
        return blob_failure(self._descriptor, f"it has {self._got} of the {self._descriptor.size} bytes promised")


def read_blob(session: Session, descriptor: Descriptor, limit: int) -> bytes:
    """A small blob, verified. Raises: as Download.fetch."""
    if descriptor.size > limit:
        raise InvalidArgument(f"cannot use {descriptor.digest}", why=f"its size is over {limit} bytes")
    with session.send("GET", session.url(f"blobs/{descriptor.digest}"), accepted=(200,)) as response:
        raw = response.read(limit)
    algorithm = algorithm_of(parse_digest(descriptor.digest))
    if len(raw) != descriptor.size or f"{algorithm}:{hashlib.new(algorithm, raw).hexdigest()}" != descriptor.digest:
        raise blob_failure(descriptor, "its content is another")
    return raw
