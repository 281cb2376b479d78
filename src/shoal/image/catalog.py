"""Which images there are and what they are called: SQLite on disk, parsed in memory.

Configurations never change (their digest is the id), so that each is parsed once. Every change is one transaction, made
before the memory follows. Thread-safe: one lock, one connection.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from shoal.errors import Internal, NotFound, ShoalError
from shoal.image.blobs import BlobStore
from shoal.image.image import Image, ImageId
from shoal.image.layers import LayerStore
from shoal.oci.digest import Digest, chain_ids_of, parse_digest
from shoal.oci.image_spec import ImageConfig, decode_image, unix_ns
from shoal.oci.reference import Reference, could_be_id, parse_any

_SCHEMA = """
CREATE TABLE IF NOT EXISTS image_images (id TEXT PRIMARY KEY, parent TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS image_names (
    name TEXT PRIMARY KEY,              -- normalised: docker.io/library/busybox:latest
    image TEXT NOT NULL REFERENCES image_images (id),
    tagged_ns INTEGER NOT NULL
) WITHOUT ROWID;
"""


class Catalog:
    """The images and their names. `lock` guards decisions that need several calls."""

    def __init__(self, connect: Callable[[], sqlite3.Connection], blobs: BlobStore, layers: LayerStore) -> None:
        self.lock = threading.RLock()
        self._blobs = blobs
        self._layers = layers
        self._images: dict[ImageId, Image] = {}
        self._names: dict[str, ImageId] = {}
        self.problems: list[str] = []
        self._db = connect()
        self._db.executescript(_SCHEMA)
        self._read()

    def close(self) -> None:
        """Close the connection."""
        self._db.close()

    def database_problems(self) -> list[str]:
        """What SQLite finds wrong in its file: damaged pages, and rows that point nowhere."""
        with self.lock:
            try:
                told = [text for (text,) in self._db.execute("PRAGMA integrity_check") if text != "ok"]
                rows = self._db.execute("PRAGMA foreign_key_check").fetchall()
            except sqlite3.Error as error:
                return [str(error)]
        return [*told, *(f"a row of {table} points to a row that is not in {parent}" for table, _, parent, _ in rows)]

    # -- reading ------------------------------------------------------------------------------------------------

    def images(self) -> list[Image]:
        """All images, the newest first."""
        with self.lock:
            return sorted(self._images.values(), key=lambda image: (image.created_ns, image.id), reverse=True)

    def get(self, image_id: ImageId) -> Image | None:
        """The image of this full id."""
        return self._images.get(image_id)

    def named(self, reference: Reference) -> Image | None:
        """The image that has exactly this name (a digest counts before a tag)."""
        image_id = self._names.get(_key(reference))
        return self._images.get(image_id) if image_id else None

    def in_repository(self, name: str) -> list[Reference]:
        """All references with tags in the repository of this normalised `name`, sorted."""
        with self.lock:
            found = [Reference.parse(key) for key in self._names if key.startswith(name + ":")]
        return sorted((ref for ref in found if ref.name == name and ref.tag), key=str)

    def resolve(self, text: str) -> Image:
        """The image that a user means by `text`: a name, then an id, then the beginning of one.

        Raises: NotFound `No such image: X:latest`; InvalidArgument `invalid reference format`.
        """
        meant = parse_any(text)
        if not isinstance(meant, Reference):
            image = self._images.get(ImageId(meant))
            if image is None:
                raise NotFound(f"No such image: {meant}")
            return image
        reference = meant.with_default_tag()
        image = self.named(reference) or self._by_short_id(text)
        if image is None:
            raise NotFound(f"No such image: {reference.familiar()}")
        return image

    def children(self, image_id: ImageId) -> list[ImageId]:
        """The images that were made on top of this one here."""
        with self.lock:
            return [image.id for image in self._images.values() if image.parent == image_id]

    def _by_short_id(self, text: str) -> Image | None:
        if not could_be_id(text):
            return None
        prefix = text if text.startswith("sha256:") else f"sha256:{text}"
        with self.lock:
            found = [image for image_id, image in self._images.items() if image_id.startswith(prefix)]
        return found[0] if len(found) == 1 else None  # an ambiguous one is nobody's, as with Docker

    # -- writing ------------------------------------------------------------------------------------------------

    def add(
        self, raw: bytes, references: Sequence[Reference] = (), now_ns: int = 0, *, parent: ImageId | None = None
    ) -> tuple[Image, list[ImageId | None]]:
        """The image of the configuration `raw`, called `references`: both or neither, whatever happens meanwhile.

        The caller has made its layers and holds them. The image may exist already; with it comes, for each name, the
        other image that had it before. Raises: InvalidArgument; NotFound if a layer is missing; Internal for a full
        disk.
        """
        with self.lock:
            image_id = ImageId(self._blobs.put(raw))
            image = self._images.get(image_id)
            is_new = image is None
            if image is None:
                image = self._parsed(image_id, raw, parent)
                self._layers.hold_existing(image.chain_ids)
            try:
                with self._transaction():
                    if is_new:
                        self._db.execute("INSERT INTO image_images (id, parent) VALUES (?, ?)", (image_id, parent))
                    self._write_names(references, image_id, now_ns)
            except BaseException:
                if is_new:
                    self._layers.release(image.chain_ids)
                raise
            self._images[image_id] = image
            previous = [self._renamed(_key(reference), image_id, now_ns) for reference in references]
            return self._images[image_id], previous

    def tag(self, reference: Reference, image_id: ImageId, now_ns: int) -> ImageId | None:
        """Give the image this name; returns the image that had it before, if another one.

        Raises: NotFound if the image is gone.
        """
        with self.lock:
            if image_id not in self._images:
                raise NotFound(f"No such image: {image_id}")
            with self._transaction():
                self._write_names([reference], image_id, now_ns)
            return self._renamed(_key(reference), image_id, now_ns)

    def _write_names(self, references: Iterable[Reference], image_id: ImageId, now_ns: int) -> None:
        """Within a transaction: give the image these names."""
        self._db.executemany(
            "INSERT INTO image_names (name, image, tagged_ns) VALUES (?, ?, ?)"
            " ON CONFLICT (name) DO UPDATE SET image = excluded.image, tagged_ns = excluded.tagged_ns",
            [(_key(reference), image_id, now_ns) for reference in references],
        )

    def _renamed(self, key: str, image_id: ImageId, now_ns: int) -> ImageId | None:
        """After the transaction: the same in memory; returns the other image that had the name before."""
        previous = self._names.get(key)
        if previous is not None:
            self._drop_reference(previous, key)
        self._names[key] = image_id
        image = self._images[image_id]
        references = tuple(sorted((*image.references, Reference.parse(key)), key=str))
        self._images[image_id] = replace(image, references=references, last_tagged_ns=now_ns)
        return previous if previous != image_id else None

    def untag(self, references: Iterable[Reference]) -> None:
        """Take these names away."""
        keys = [_key(reference) for reference in references]
        with self.lock:
            with self._transaction():
                self._db.executemany("DELETE FROM image_names WHERE name = ?", [(key,) for key in keys])
            for key in keys:
                image_id = self._names.pop(key, None)
                if image_id is not None:
                    self._drop_reference(image_id, key)

    def delete(self, image_id: ImageId) -> list[Digest]:
        """Delete the image, which has no names any more; returns the layers gone with it, the top one first."""
        with self.lock:
            image = self._images[image_id]
            with self._transaction():
                self._db.execute("UPDATE image_images SET parent = NULL WHERE parent = ?", (image_id,))
                self._db.execute("DELETE FROM image_images WHERE id = ?", (image_id,))
            del self._images[image_id]
            self._blobs.delete(image_id)
            return self._layers.release(image.chain_ids)

    def collect_garbage(self) -> None:
        """Delete the blobs of no image and the layers that nobody holds; once snapshots are known, at any time."""
        with self.lock:
            for digest in list(self._blobs.digests()):
                if ImageId(digest) not in self._images:
                    self._blobs.delete(digest)
            self._layers.discard_unheld()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """One transaction. Raises: Internal if the database can't be written."""
        try:
            # Begun by hand: the connection may be in autocommit mode. IMMEDIATE waits for other writers here, where
            # the busy timeout works, and not in the middle.
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            raise Internal("failed to write the image database", why=str(error)) from error

    # -- inside -------------------------------------------------------------------------------------------------

    def _drop_reference(self, image_id: ImageId, key: str) -> None:
        image = self._images[image_id]
        kept = tuple(reference for reference in image.references if _key(reference) != key)
        self._images[image_id] = replace(image, references=kept)

    def _parsed(self, image_id: ImageId, raw: bytes, parent: ImageId | None) -> Image:
        """The image of a configuration. Raises: InvalidArgument; NotFound if a layer is missing."""
        document = decode_image(raw)
        diff_ids = (document.rootfs.diff_ids or []) if document.rootfs else []
        chain_ids = chain_ids_of(parse_digest(diff_id) for diff_id in diff_ids)
        return Image(
            id=image_id,
            document=document,
            config=document.config or ImageConfig(),
            chain_ids=chain_ids,
            size_bytes=sum(self._layers.get(chain_id).size_bytes for chain_id in chain_ids),
            created_ns=unix_ns(document.created),
            parent=parent,
        )

    def _read(self) -> None:
        """Fill the memory from disk; what is damaged is taken out of the database, and told in `problems`."""
        damaged: list[ImageId] = []
        for name, parent in self._db.execute("SELECT id, parent FROM image_images").fetchall():
            image_id = ImageId(Digest(name))
            try:
                image = self._parsed(image_id, self._blobs.read(image_id), parent and ImageId(Digest(parent)))
                self._layers.hold_existing(image.chain_ids)
            except ShoalError as error:
                self.problems.append(f"image {image_id} is lost: {error}")
                damaged.append(image_id)
                continue
            self._images[image_id] = image
        for image_id in damaged:
            with self._transaction():
                self._db.execute("DELETE FROM image_names WHERE image = ?", (image_id,))
                self._db.execute("UPDATE image_images SET parent = NULL WHERE parent = ?", (image_id,))
                self._db.execute("DELETE FROM image_images WHERE id = ?", (image_id,))
        self._read_names()

    def _read_names(self) -> None:
        rows: Sequence[tuple[str, str, int]] = self._db.execute(
            "SELECT name, image, tagged_ns FROM image_names ORDER BY name"
        ).fetchall()
        for key, name, tagged_ns in rows:
            image_id = ImageId(Digest(name))
            known = self._images.get(image_id)
            if known is None:
                continue
            self._names[key] = image_id
            self._images[image_id] = replace(
                known,
                references=(*known.references, Reference.parse(key)),
                last_tagged_ns=max(known.last_tagged_ns, tagged_ns),
            )


def _key(reference: Reference) -> str:
    """The text under which a reference is kept: by digest if it has one, else by tag."""
    if reference.digest is not None:
        return f"{reference.name}@{reference.digest}"
    return reference.with_default_tag().normalised()
