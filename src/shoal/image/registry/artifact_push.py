"""`docker push` of what is no image: an artifact's files, its manifest byte for byte, and the list of its subject.

OCI distribution-spec §Push, §Pushing Manifests with Subject.
"""

from __future__ import annotations

from functools import partial

from shoal.image.artifacts import Artifact, Artifacts
from shoal.image.registry.progress import Pushed, Teller
from shoal.image.registry.referrers import listed_by_tag, tag_of_list
from shoal.image.registry.resolving import Document
from shoal.image.registry.session import Session
from shoal.image.registry.transport import RegistryTransport
from shoal.image.registry.uploads import FileContent, Uploads
from shoal.oci.descriptor import MEDIA_INDEX, MEDIA_MANIFEST, Descriptor, Index
from shoal.oci.digest import parse_digest, sha256_of, short_id
from shoal.oci.documents import encode_document
from shoal.oci.reference import Reference


class ArtifactPush:
    """The artifact that `reference` names, into its repository, which `session` speaks to."""

    def __init__(
        self, artifacts: Artifacts, transport: RegistryTransport, session: Session, reference: Reference, teller: Teller
    ) -> None:
        self._artifacts = artifacts
        self._transport = transport
        self._session = session
        self._uploads = Uploads(transport, session)
        self._reference = reference
        self._teller = teller

    def run(self) -> None:
        """Nothing, once the registry has the manifest. Raises: NotFound, Refused, Unreachable, Cancelled."""
        artifact = self._artifacts.get(self._reference)
        for part in {part.digest: part for part in artifact.parts}.values():
            self._send(part)
        media_type = artifact.manifest.media_type or MEDIA_MANIFEST
        document, tag = Document(artifact.digest, media_type, artifact.raw), self._reference.tag or ""
        response = self._uploads.persistently(lambda: self._uploads.manifest(tag, document))
        if artifact.manifest.subject is not None and not response.header("OCI-Subject"):
            self._uploads.persistently(partial(self._list, artifact, artifact.manifest.subject, media_type))
        self._teller.whole(f"{tag}: digest: {document.digest} size: {len(document.raw)}")
        self._teller.tell(Pushed(tag, document.digest, len(document.raw)))

    def _send(self, part: Descriptor) -> None:
        id = short_id(part.digest)
        if self._uploads.exists(part.digest):
            self._teller.layer(id, "Layer already exists")
            return
        content = FileContent(self._teller, self._transport, id, self._artifacts.path(part), part)
        self._uploads.persistently(lambda: self._uploads.stream(content))
        self._teller.layer(id, "Pushed")

    def _list(self, artifact: Artifact, subject: Descriptor, media_type: str) -> None:
        """For a registry that keeps no list of what refers to a manifest: an index under a tag has it."""
        digest = parse_digest(subject.digest)
        known = [each for each in listed_by_tag(self._session, digest) if each.digest != artifact.digest]
        annotations = artifact.manifest.annotations
        new = Descriptor(media_type, artifact.digest, len(artifact.raw), annotations, artifact_type=artifact.kind)
        raw = encode_document(Index(schema_version=2, media_type=MEDIA_INDEX, manifests=[*known, new]))
        self._uploads.manifest(tag_of_list(digest), Document(sha256_of(raw), MEDIA_INDEX, raw))
