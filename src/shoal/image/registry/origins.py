"""What the store has no more, from the registries that it came from: for `shoal fsck --repair`, and for pushes.

Runs in shoald; every method blocks. What comes is held against its digest as in a pull, and asked for as whoever
`credentials` says the user is there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TypeVar

from shoal.errors import NotFound, ShoalError
from shoal.image.image import Image
from shoal.image.layer_archive import ArchiveFile
from shoal.image.registry.credentials import Credentials
from shoal.image.registry.download import Download, read_blob
from shoal.image.registry.endpoints import Endpoint, endpoints_for
from shoal.image.registry.manifests import decode_manifest
from shoal.image.registry.pull import CONFIG_MAX, Storage
from shoal.image.registry.session import Session, at_first_answering
from shoal.image.registry.transport import RegistryTransport
from shoal.oci.descriptor import Descriptor
from shoal.oci.digest import Digest
from shoal.oci.reference import Reference

T = TypeVar("T")


class Origins:
    """The registries that the content of `storage` came from, or went to. Use in a `with` block.

    `abandon`, from any thread, ends what is under way: who waits for it hears Cancelled.
    """

    def __init__(
        self, storage: Storage, transport: RegistryTransport, credentials: Callable[[Reference], Credentials]
    ) -> None:
        self._storage = storage
        self._credentials = credentials
        self._transport = transport

    def __enter__(self) -> Origins:
        return self

    def __exit__(self, *_: object) -> None:
        self._transport.__exit__()

    def abandon(self) -> None:
        """End it."""
        self._transport.abandon()

    @contextmanager
    def layer(self, diff_id: Digest) -> Iterator[ArchiveFile]:
        """The archive of a layer, within the block.

        Raises: NotFound where no registry is known to have it; what went wrong at the last one that is.
        """
        failure = _unknown()
        with ExitStack() as stack:
            for source in self._storage.sources.blobs(diff_id):
                try:
                    path = stack.enter_context(self.blob(Reference.parse(source.repository), source.descriptor))
                    break
                except ShoalError as error:
                    failure = error
            else:
                raise failure
            yield ArchiveFile(path)

    def config(self, image: Image) -> bytes:
        """The configuration of an image. Raises: as `layer`."""
        failure = _unknown()
        configs = [decode_manifest(kept.raw).config for kept in self._storage.sources.manifests(image.id)]
        for repository in {reference.name: reference for reference in image.references}.values():
            for config in configs:
                try:
                    return self._at(repository, partial(read_blob, descriptor=config, limit=CONFIG_MAX))
                except ShoalError as error:
                    failure = error
        raise failure

    @contextmanager
    def blob(self, repository: Reference, descriptor: Descriptor) -> Iterator[str]:
        """Where a blob of the repository lies, within the block. Raises: as Download.fetch; Unavailable."""
        partials, transport = self._storage.partials, self._transport
        try:
            with partials.shared(descriptor) as blob:

                def fetch(session: Session) -> None:
                    Download(transport, session, descriptor, blob, transport.check, _ignore, _ignore).fetch()

                self._at(repository, fetch)
                yield blob.path
        finally:
            partials.discard([descriptor])

    def _at(self, repository: Reference, act: Callable[[Session], T]) -> T:
        """What `act` does at the registry of `repository`, or a mirror of it."""
        credentials = self._credentials(repository)

        def session(endpoint: Endpoint) -> Session:
            path = endpoint.path_of(repository.path)
            who = Credentials() if endpoint.is_mirror else credentials
            return Session(self._transport, endpoint, path, who, [f"repository:{path}:pull"])

        return at_first_answering(endpoints_for(repository.domain, self._transport.settings), session, act)


def _unknown() -> ShoalError:
    return NotFound("no registry is known to have it")


def _ignore(_: int) -> None:
    """Nobody watches."""
