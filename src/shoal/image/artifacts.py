"""OCI artifacts: what registries keep beside images (charts, signatures, models), stored as it came and never unpacked.

    artifacts/sha256/<hex>    the configurations and files
    table image_artifacts     names and manifests

A file is there for as long as a manifest names it. Every change is one transaction, made after the files have come.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from shoal.errors import InvalidArgument, NotFound
from shoal.image.blobs import BlobStore, sync_directory
from shoal.oci.descriptor import Descriptor, Manifest
from shoal.oci.digest import Digest, parse_digest, sha256_of
from shoal.oci.documents import decode_document
from shoal.oci.reference import Reference

_SCHEMA = """
CREATE TABLE IF NOT EXISTS image_artifacts (
    name TEXT PRIMARY KEY, raw BLOB NOT NULL, pulled_ns INTEGER NOT NULL
) WITHOUT ROWID;
"""
_TITLE = "org.opencontainers.image.title"


@dataclass(frozen=True, slots=True)
class Artifact:
    """An artifact under one of its names."""

    reference: Reference
    digest: Digest
    manifest: Manifest
    raw: bytes
    pulled_ns: int

    @property
    def kind(self) -> str:
        """What it is: its media type."""
        return self.manifest.artifact_type or self.manifest.config.media_type

    @property
    def parts(self) -> Sequence[Descriptor]:
        """Its configuration and its files."""
        return _parts(self.manifest)

    @property
    def size_bytes(self) -> int:
        """What its files and its configuration have together."""
        return sum(part.size for part in self.parts)

    def file(self, wanted: str) -> Descriptor:
        """The file of this title or digest; without either the only one. Raises: NotFound, InvalidArgument."""
        files = self.manifest.layers
        if not wanted:
            if len(files) != 1:
                why = f"it has {len(files)}: {', '.join(map(title_of, files))}"
                raise InvalidArgument(f"{self.reference.familiar()} is not one file", why=why, fix="name the file")
            return files[0]
        for file in files:
            if wanted in (file.digest, title_of(file)):
                return file
        raise NotFound(f"no file {wanted} in {self.reference.familiar()}")


def title_of(file: Descriptor) -> str:
    """What a file of an artifact is called: its title, else its digest."""
    return (file.annotations or {}).get(_TITLE) or file.digest


class Artifacts:
    """The artifacts whose files are below `root`; `tmp` is on the same file system. Thread-safe."""

    def __init__(self, connect: Callable[[], sqlite3.Connection], root: str, tmp: str) -> None:
        self._lock = threading.Lock()
        self._root = os.path.join(root, "sha256")
        self._blobs = BlobStore(root, tmp)
        self._db = connect()
        self._db.executescript(_SCHEMA)
        self._collect()

    def close(self) -> None:
        """Close the connection."""
        self._db.close()

    def all(self) -> Sequence[Artifact]:
        """Every artifact, by name."""
        with self._lock:
            rows = self._db.execute("SELECT name, raw, pulled_ns FROM image_artifacts ORDER BY name").fetchall()
        return [_artifact(name, raw, pulled_ns) for name, raw, pulled_ns in rows]

    def get(self, reference: Reference) -> Artifact:
        """The artifact of exactly this name. Raises: NotFound."""
        for artifact in self.all():
            if artifact.reference == reference:
                return artifact
        raise NotFound(f"No such artifact: {reference.familiar()}")

    def in_repository(self, name: str) -> Sequence[Reference]:
        """The names with tags in the repository of this normalised `name`."""
        return [each.reference for each in self.all() if each.reference.name == name and each.reference.tag]

    def tag(self, source: Reference, target: Reference) -> None:
        """Give an artifact one more name; another one of that name loses it. Raises: NotFound."""
        with self._lock:
            named = self._db.execute(
                "INSERT OR REPLACE INTO image_artifacts SELECT ?, raw, pulled_ns FROM image_artifacts WHERE name = ?",
                (target.normalised(), source.normalised()),
            )
            if not named.rowcount:
                raise NotFound(f"No such artifact: {source.familiar()}")
            self._collect()

    def size_bytes(self) -> int:
        """What all files have together, each counted once."""
        return sum(os.stat(path).st_size for path in self.paths())

    def path(self, file: Descriptor) -> str:
        """Where a file of an artifact is."""
        return self._blobs.path(parse_digest(file.digest))

    def paths(self) -> Sequence[str]:
        """Every file."""
        return [self._blobs.path(digest) for digest in self._blobs.digests()]

    def add(self, reference: Reference, raw: bytes, files: Iterable[tuple[Digest, str]], now_ns: int) -> None:
        """Keep the manifest `raw` under this name; `files` are its parts, which are linked to, and where they lie now.

        Raises: OSError.
        """
        with self._lock:
            for digest, path in files:
                try:
                    os.link(path, self._blobs.path(digest))
                except FileExistsError:
                    continue  # another artifact has the same file
            sync_directory(self._root)
            self._db.execute(
                "INSERT OR REPLACE INTO image_artifacts VALUES (?, ?, ?)", (reference.normalised(), raw, now_ns)
            )
            self._collect()

    def restore(self, digest: Digest, path: str) -> None:
        """Put the file at `path`, which is linked to, in the place of a damaged one. Raises: OSError."""
        with self._lock:
            self._blobs.delete(digest)
            os.link(path, self._blobs.path(digest))
            sync_directory(self._root)

    def remove(self, reference: Reference) -> None:
        """Forget the artifact of this name, and its files. Raises: NotFound."""
        with self._lock:
            gone = self._db.execute("DELETE FROM image_artifacts WHERE name = ?", (reference.normalised(),))
            if not gone.rowcount:
                raise NotFound(f"No such artifact: {reference.familiar()}")
            self._collect()

    def prune(self, until_ns: int | None) -> tuple[Sequence[Reference], int]:
        """Forget all that came before `until_ns`, if given; their names, and the bytes of files gone with them."""
        before = self.size_bytes()
        names = [each.reference for each in self.all() if until_ns is None or each.pulled_ns <= until_ns]
        for name in names:
            with suppress(NotFound):  # somebody was quicker
                self.remove(name)
        return names, before - self.size_bytes()

    def _collect(self) -> None:
        """Delete the files that no manifest names."""
        needed = {
            part.digest
            for (raw,) in self._db.execute("SELECT raw FROM image_artifacts")
            for part in _parts(decode_document(raw, Manifest, "artifact"))
        }
        for digest in list(self._blobs.digests()):
            if digest not in needed:
                self._blobs.delete(digest)


def _artifact(name: str, raw: bytes, pulled_ns: int) -> Artifact:
    return Artifact(Reference.parse(name), sha256_of(raw), decode_document(raw, Manifest, "artifact"), raw, pulled_ns)


def _parts(manifest: Manifest) -> Sequence[Descriptor]:
    return (manifest.config, *manifest.layers)
