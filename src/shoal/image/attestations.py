"""What is attested of images: predicates by image, and how they are laid out beside it, as BuildKit does.

    index ─▶ the image's manifest
           ─▶ attestation manifest (platform unknown/unknown, naming the image's manifest) ─▶ in-toto statements

A statement names the image's manifest, which is only known where it is written: so predicates are kept.
Table image_attestations of the database. Thread-safe. Source: in-toto Statement v0.1, BuildKit attestation storage.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from shoal.oci.descriptor import (
    MEDIA_CONFIG,
    MEDIA_INDEX,
    MEDIA_MANIFEST,
    Descriptor,
    DescriptorPlatform,
    Index,
    Manifest,
)
from shoal.oci.digest import sha256_of
from shoal.oci.documents import encode_document
from shoal.oci.reference import Reference

_SCHEMA = """
CREATE TABLE IF NOT EXISTS image_attestations (
    image TEXT, predicate_type TEXT, predicate BLOB NOT NULL, PRIMARY KEY (image, predicate_type)
) WITHOUT ROWID;
"""
_STATEMENT = "application/vnd.in-toto+json"


class Attestation(NamedTuple):
    """One predicate, as JSON, and its type."""

    predicate_type: str
    predicate: bytes


@dataclass(frozen=True, slots=True)
class Attested:
    """The documents of an attested image: blobs by digest, the attestation manifest, and the index of both."""

    blobs: Sequence[tuple[str, bytes]]
    manifest: bytes
    index: bytes


class Attestations:
    """The predicates of the images here."""

    def __init__(self, connect: Callable[[], sqlite3.Connection]) -> None:
        self._lock = threading.Lock()
        self._db = connect()
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the connection."""
        self._db.close()

    def put(self, image: str, attestations: Sequence[Attestation]) -> None:
        """Attest these of the image, in the place of what was attested before."""
        rows = [(image, kind, predicate) for kind, predicate in attestations]
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                self._db.execute("DELETE FROM image_attestations WHERE image = ?", (image,))
                self._db.executemany("INSERT OR REPLACE INTO image_attestations VALUES (?, ?, ?)", rows)
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def of(self, image: str) -> list[Attestation]:
        """What is attested of the image."""
        query = "SELECT predicate_type, predicate FROM image_attestations WHERE image = ? ORDER BY predicate_type"
        with self._lock:
            return [Attestation(*row) for row in self._db.execute(query, (image,)).fetchall()]

    def forget(self, images: Iterable[str]) -> None:
        """Forget what is about these images, which are gone."""
        with self._lock:
            self._db.executemany("DELETE FROM image_attestations WHERE image = ?", [(image,) for image in images])

    def forget_all_but(self, images: Collection[str]) -> None:
        """Forget what is about images that are gone: for start-up."""
        with self._lock:
            known = [image for (image,) in self._db.execute("SELECT DISTINCT image FROM image_attestations").fetchall()]
            for image in known:
                if image not in images:
                    self._db.execute("DELETE FROM image_attestations WHERE image = ?", (image,))


def name_of(reference: Reference | None, image: str) -> str:
    """What a statement calls an image: the package URL of its name, or of its id."""
    if reference is None:
        return f"pkg:docker/{image.partition(':')[2]}"
    return f"pkg:docker/{reference.familiar_name}@{reference.tag or 'latest'}"


def attested(image: Descriptor, name: str, attestations: Sequence[Attestation]) -> Attested:
    """The documents that go with the manifest `image`, whose platform is told, of the image `name`. Pure."""
    platform = image.platform or DescriptorPlatform()
    subject = [{"name": f"{name}?platform={platform.os}%2F{platform.architecture}", "digest": _digest_set(image)}]
    layers, blobs = [], []
    for kind, predicate in attestations:
        statement = {
            "_type": "https://in-toto.io/Statement/v0.1",
            "predicateType": kind,
            "subject": subject,
            "predicate": json.loads(predicate),
        }
        raw = json.dumps(statement, sort_keys=True).encode()
        notes = {"in-toto.io/predicate-type": kind}
        layers.append(Descriptor(_STATEMENT, sha256_of(raw), len(raw), notes))
        blobs.append((sha256_of(raw), raw))
    config = json.dumps(
        {
            "architecture": "unknown",
            "os": "unknown",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [layer.digest for layer in layers]},
        }
    ).encode()
    blobs.append((sha256_of(config), config))
    described = Descriptor(MEDIA_CONFIG, sha256_of(config), len(config))
    manifest = encode_document(Manifest(schema_version=2, media_type=MEDIA_MANIFEST, config=described, layers=layers))
    notes = {"vnd.docker.reference.digest": image.digest, "vnd.docker.reference.type": "attestation-manifest"}
    unknown = DescriptorPlatform(architecture="unknown", os="unknown")
    second = Descriptor(MEDIA_MANIFEST, sha256_of(manifest), len(manifest), notes, unknown)
    index = encode_document(Index(schema_version=2, media_type=MEDIA_INDEX, manifests=[image, second]))
    return Attested(blobs, manifest, index)


def _digest_set(image: Descriptor) -> dict[str, str]:
    algorithm, _, digits = image.digest.partition(":")
    return {algorithm: digits}
