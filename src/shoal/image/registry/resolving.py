"""From a reference to the one manifest that is for a platform: through an index, nested if it must be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shoal.errors import InvalidArgument, NotFound
from shoal.image.registry.manifests import MANIFEST_MAX, decode_index, decode_manifest, kind_of
from shoal.image.registry.platforms import best_match
from shoal.image.registry.session import Session
from shoal.oci.descriptor import INDEX_MEDIA_TYPES, Descriptor, Manifest
from shoal.oci.digest import Digest, parse_digest, sha256_of
from shoal.oci.platform import Platform
from shoal.oci.reference import Reference

_NESTING_MAX = 4


@dataclass(frozen=True, slots=True)
class Document:
    """A manifest or an index as a registry gave it, its digest verified."""

    digest: Digest
    media_type: str
    raw: bytes

    @property
    def is_index(self) -> bool:
        """Whether it lists others."""
        return self.media_type in INDEX_MEDIA_TYPES


def fetch_document(session: Session, reference: Reference) -> Document:
    """What the registry has under the tag or the digest of `reference`.

    Raises: Refused; InvalidArgument where the digest is another, or it is no manifest.
    """
    raw, content_type, claimed = session.manifest(reference.digest or reference.tag or "latest")
    digest = sha256_of(raw)
    expected = reference.digest or (claimed if claimed.startswith("sha256:") else digest)
    if digest != expected:
        raise InvalidArgument(f"manifest verification failed for digest {expected}", why=f"its content has {digest}")
    return Document(digest, kind_of(raw, content_type), raw)


def resolve_manifest(session: Session, top: Document, platform: Platform) -> tuple[Document, Manifest]:
    """The image manifest for `platform`, which is `top` itself or found below it. Raises: as `resolve_document`."""
    document = resolve_document(session, top, platform)
    return document, decode_manifest(document.raw)


def resolve_document(session: Session, top: Document, platform: Platform) -> Document:
    """The manifest for `platform`, of an image or an artifact.

    Raises: NotFound `no matching manifest for … in the manifest list entries`; InvalidArgument; Refused.
    """
    current = top
    for _ in range(_NESTING_MAX):
        if not current.is_index:
            return current
        chosen = _chosen(decode_index(current.raw).manifests, platform)
        current = _child(session, chosen)
    raise InvalidArgument("invalid image index", why="indexes are nested too deep")


def _chosen(manifests: Sequence[Descriptor], platform: Platform) -> Descriptor:
    found = best_match(platform, manifests)
    if found is None:
        # An index inside an index need not say what it is for.
        found = next(
            (each for each in manifests if each.platform is None and each.media_type in INDEX_MEDIA_TYPES), None
        )
    if found is None:
        raise NotFound(f"no matching manifest for {platform} in the manifest list entries")
    return found


def _child(session: Session, descriptor: Descriptor) -> Document:
    digest = parse_digest(descriptor.digest)
    if not digest.startswith("sha256:") or not 0 <= descriptor.size <= MANIFEST_MAX:
        raise InvalidArgument("invalid image index", why=f"{digest} is too big, or not named by its sha256")
    raw, content_type, _ = session.manifest(digest)
    if sha256_of(raw) != digest or len(raw) != descriptor.size:
        raise InvalidArgument(f"manifest verification failed for digest {digest}", why="its content is another")
    return Document(digest, kind_of(raw, content_type), raw)
