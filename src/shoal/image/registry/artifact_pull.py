"""`docker pull` of what is no image: an artifact's files, one after the other, and in the end its name, in one step."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack

from shoal.errors import InvalidArgument, NotFound
from shoal.image.artifacts import Artifacts
from shoal.image.failures import DiskFull, explained
from shoal.image.partials import Partials
from shoal.image.registry.download import Download
from shoal.image.registry.manifests import decode_artifact
from shoal.image.registry.progress import Teller
from shoal.image.registry.resolving import Document
from shoal.image.registry.session import Session
from shoal.image.registry.transport import RegistryTransport
from shoal.oci.descriptor import Descriptor
from shoal.oci.digest import Digest, parse_digest, short_id
from shoal.oci.reference import Reference


class ArtifactPull:
    """One artifact from one repository of a registry, which `session` speaks to."""

    def __init__(
        self, artifacts: Artifacts, partials: Partials, transport: RegistryTransport, session: Session, teller: Teller
    ) -> None:
        self._artifacts = artifacts
        self._partials = partials
        self._transport = transport
        self._session = session
        self._teller = teller

    def run(self, reference: Reference, document: Document, now_ns: int) -> bool:
        """Whether the artifact that is here now is new, or another one.

        Raises: Refused, Unreachable, Cancelled; InvalidArgument for files that are not what their digests say.
        """
        try:
            if self._artifacts.get(reference).digest == document.digest:
                return False
        except NotFound:
            pass  # it is new
        manifest = decode_artifact(document.raw)
        parts = list({part.digest: part for part in (manifest.config, *manifest.layers)}.values())
        for part in parts:
            if not part.digest.startswith("sha256:"):
                raise InvalidArgument(f"cannot use {part.digest}", why="files of artifacts are named by their sha256")
        try:
            with ExitStack() as stack:
                files = [self._fetched(part, stack) for part in parts]
                self._keep(reference, document, files, now_ns)
        except DiskFull as error:
            self._partials.discard(parts)  # a disk is not filled with what can't be used
            raise self._partials.without_room(parts, unpacks=False) from error
        self._partials.discard(parts)
        return True

    def _keep(self, reference: Reference, document: Document, files: Iterable[tuple[Digest, str]], now_ns: int) -> None:
        """Give the files their place and their name. Raises: Internal."""
        try:
            self._artifacts.add(reference, document.raw, files, now_ns)
        except OSError as error:
            raise explained(error, doing="keep artifact") from error

    def _fetched(self, part: Descriptor, stack: ExitStack) -> tuple[Digest, str]:
        """The part's digest, and where it lies until `stack` ends."""
        id = short_id(part.digest)
        blob = stack.enter_context(self._partials.shared(part))
        tell = self._teller.bytes_of(id, "Downloading", part.size)

        def retrying(attempt: int) -> None:
            self._teller.layer(id, f"Retrying, attempt {attempt}")

        Download(self._transport, self._session, part, blob, self._transport.check, tell, retrying).fetch()
        self._teller.layer(id, "Download complete")
        return parse_digest(part.digest), blob.path
