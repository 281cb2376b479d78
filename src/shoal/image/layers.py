"""Unpacked layers, each once, under its chainID; counted by who needs them.

    layers/<chain hex>/diff/        the tree, in overlayfs's form
    layers/<chain hex>/skeleton     all of the archive but file data (skeleton.py), or
    layers/<chain hex>/archive      the archive itself, where the tree can't give it back (layer_notes.py)
    layers/<chain hex>/layer.json   diffID, parent, sizes

A layer is made in the scratch directory and renamed into place, so that it exists as a whole or not at all. Images,
snapshots and running loads hold layers; one that nobody holds any more is discarded. Thread-safe.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from shoal.errors import InvalidArgument, NotFound
from shoal.image.adoption import describe, prune
from shoal.image.failures import explained
from shoal.image.kept_blobs import KeptBlobs
from shoal.image.layer_archive import ArchiveFile, LayerArchive
from shoal.image.merged import MergedView
from shoal.image.recording import TreeRecord
from shoal.image.scratch import Scratch
from shoal.image.skeleton import DamagedLayer, rebuild
from shoal.image.tar.compression import decompressed, read_chunks
from shoal.image.unpacking import Unpacking
from shoal.oci.digest import Digest, hex_of
from shoal.oci.documents import decode_document, encode_document

_RENEWED = "renewed"  # a tree on its way to its place
_POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class Layer:
    """An unpacked layer. `size_bytes` counts the files' bytes, `archive_size` those of the plain tar."""

    chain_id: str
    diff_id: str
    parent: str | None
    size_bytes: int
    archive_size: int
    is_rebuildable: bool


class LayerStore:
    """The layers under `root`, with `scratch` on the same file system; the blobs in `kept` go with them."""

    def __init__(self, root: str, scratch: Scratch, kept: KeptBlobs | None = None) -> None:
        self._root = root
        self._kept = kept
        self._scratch = scratch
        self._lock = threading.Lock()
        self._made = threading.Condition(self._lock)
        self._making: set[Digest] = set()
        self._holds: Counter[Digest] = Counter()
        self.linked: set[Digest] = set()  # whose files other layers have got links to, in this process
        os.makedirs(root, mode=0o700, exist_ok=True)
        self._layers = dict(self._scan())

    def tree(self, chain_id: Digest) -> str:
        """The directory of the layer's files, whether or not it exists."""
        return os.path.join(self._root, hex_of(chain_id), "diff")

    def get(self, chain_id: Digest) -> Layer:
        """The layer. Raises: NotFound."""
        layer = self._layers.get(chain_id)
        if layer is None:
            raise NotFound(f"layer {chain_id} does not exist")
        return layer

    def chain(self, top: Digest) -> tuple[Digest, ...]:
        """The chainIDs from the bottom up to `top`; from where a layer is missing on, they are left out."""
        chain: list[Digest] = []
        current: Digest | None = top
        while current is not None:
            chain.append(current)
            layer = self._layers.get(current)
            current = Digest(layer.parent) if layer is not None and layer.parent else None
        return tuple(reversed(chain))

    def all(self) -> Sequence[Layer]:
        """Every layer."""
        return list(self._layers.values())

    def has(self, chain_id: Digest) -> bool:
        """Whether the layer exists."""
        return chain_id in self._layers

    def has_diff(self, diff_id: str) -> bool:
        """Whether a layer was made of the archive with this digest, whatever it lies on."""
        return any(layer.diff_id == diff_id for layer in self.all())

    # -- holding ------------------------------------------------------------------------------------------------

    def hold(self, chain_ids: Iterable[Digest]) -> None:
        """Keep these layers from being discarded until `release`; they need not exist yet."""
        with self._lock:
            self._holds.update(chain_ids)

    def hold_existing(self, chain_ids: Sequence[Digest]) -> None:
        """As `hold`. Raises: NotFound, holding nothing, if one of the layers does not exist."""
        with self._lock:
            for chain_id in chain_ids:
                if chain_id not in self._layers:
                    raise NotFound(f"layer {chain_id} does not exist", fix="load the image again")
            self._holds.update(chain_ids)

    def release(self, chain_ids: Sequence[Digest]) -> list[Digest]:
        """Undo one `hold`; returns the layers that nobody held any more and that are gone now, the topmost first."""
        gone = []
        with self._lock:
            for chain_id in reversed(chain_ids):
                self._holds[chain_id] -= 1
                if self._holds[chain_id] <= 0:
                    del self._holds[chain_id]
                    if self._layers.pop(chain_id, None) is not None:
                        self._scratch.discard(os.path.join(self._root, hex_of(chain_id)))
                        self.linked.discard(chain_id)
                        if self._kept is not None:
                            self._kept.forget(chain_id)
                        gone.append(chain_id)
        return gone

    @contextmanager
    def held(self, chain_ids: Sequence[Digest]) -> Iterator[None]:
        """Hold the layers within the block."""
        self.hold(chain_ids)
        try:
            yield
        finally:
            self.release(chain_ids)

    def discard_unheld(self) -> list[Digest]:
        """Discard every layer that nobody holds, now that images and snapshots are known."""
        with self._lock:
            loose = [chain_id for chain_id in self._layers if not self._holds[chain_id]]
        self.hold(loose)
        return [chain_id for loose_id in loose for chain_id in self.release([loose_id])]

    # -- making -------------------------------------------------------------------------------------------------

    def ensure(
        self,
        archive: LayerArchive | Unpacking,
        below: Sequence[Digest],
        chain_id: Digest,
        diff_id: Digest,
    ) -> Layer:
        """The layer `chain_id`, unpacked from `archive` unless it exists; the caller holds it and `below`.

        It may have been unpacked already: then what is not used of it is dropped.

        Of several threads that want the same layer, one unpacks it.
        Raises: InvalidArgument if the archive's digest is not `diff_id`; what Unpacker and the archive raise.
        """
        with self._made:
            while chain_id in self._making:
                self._made.wait(_POLL_S)
                if not isinstance(archive, Unpacking):
                    archive.check()
            existing = self._layers.get(chain_id)
            if existing is None:
                self._making.add(chain_id)
        if existing is not None:
            if isinstance(archive, Unpacking):
                self.drop(archive)
            return existing
        try:
            if isinstance(archive, Unpacking):
                made, directory = self._complete(archive, below)
            else:
                made, directory = self._unpack(archive, below)
            if made.diff_id == diff_id:
                return self._publish(made, directory)
            self._scratch.discard(directory)
        finally:
            with self._made:
                self._making.discard(chain_id)
                self._made.notify_all()
        raise InvalidArgument(f'invalid diffID for layer {len(below)}: expected "{diff_id}", got "{made.diff_id}"')

    def add(self, archive: str, below: Sequence[Digest]) -> Layer:
        """The layer that the file `archive` makes on top of `below`, which the caller holds. It comes held.

        Raises: what Unpacker raises.
        """
        made, directory = self._unpack(ArchiveFile(archive), below)
        self.hold([Digest(made.chain_id)])
        layer = self._publish(made, directory)
        if layer is not made:
            self._scratch.purge()
        return layer

    def lend(self, chain_id: Digest) -> str:
        """The tree of a layer that the caller holds, for another layer's files to be links to its own."""
        self.linked.add(chain_id)
        return self.tree(chain_id)

    def record(self) -> TreeRecord:
        """A record for a tree that is written for `adopt`, which takes it over."""
        return TreeRecord(self._scratch.fresh("skeleton"))

    def adopt(
        self,
        tree: str,
        below: Sequence[Digest],
        *,
        latest_ns: int,
        is_independent: bool = False,
        record: TreeRecord | None = None,
    ) -> Layer | None:
        """The layer that the directory `tree` is on top of `below`, which the caller holds. It comes held.

        `tree` is moved, from the layers' file system. Times later than `latest_ns` become that. None, and no layer,
        where nothing in it differs from `below`, unless it is to be the same on top of anything (`is_independent`).
        Raises: Internal for a full disk.
        """
        directory = self._scratch.fresh("layer")
        try:
            described = record.described() if record is not None else None
            if described is None:
                compared = () if is_independent else reversed(below)
                if not prune(tree, MergedView([self.tree(chain_id) for chain_id in compared])):
                    return None
            os.makedirs(directory, mode=0o700)
            if described is not None and record is not None:
                os.rename(record.path, os.path.join(directory, "skeleton"))
            else:
                with open(os.path.join(directory, "skeleton"), "xb") as skeleton:
                    described = describe(tree, skeleton, latest_ns)
            diff_id = Digest(f"sha256:{described.digits}")
            parent = below[-1] if below else None
            chain_id = _chain_id(below, diff_id)
            layer = Layer(chain_id, diff_id, parent, described.size_bytes, described.archive_size, is_rebuildable=True)
            with open(os.path.join(directory, "layer.json"), "xb") as file:
                file.write(encode_document(layer))
            os.rename(tree, os.path.join(directory, "diff"))
        except OSError as error:
            if os.path.exists(directory):
                self._scratch.discard(directory)
            raise explained(error, doing="make layer") from error
        self.hold([chain_id])
        return self._publish(layer, directory)

    def drop_record(self, record: TreeRecord) -> None:
        """Throw away what `record` gave, unless `adopt` has made use of it."""
        record.close()
        if os.path.exists(record.path):
            self._scratch.discard(record.path)

    def moved(self, chain_id: Digest, below: Sequence[Digest]) -> Layer:
        """The layer `chain_id` on top of `below` instead; the caller holds both. It comes held.

        Raises: NotFound; Internal for a damaged layer or a full disk.
        """
        return self.stacked(_Rebuilt(self, chain_id), below, Digest(self.get(chain_id).diff_id))

    def stacked(self, archive: LayerArchive, below: Sequence[Digest], diff_id: Digest) -> Layer:
        """The layer that `archive` makes on top of `below`, which the caller holds. It comes held.

        Raises: as `ensure`.
        """
        target = _chain_id(below, diff_id)
        self.hold([target])
        try:
            return self.ensure(archive, below, target, diff_id)
        except BaseException:
            self.release([target])
            raise

    def begin(self, archive: LayerArchive) -> Unpacking:
        """`archive` on its way into a scratch directory, which the caller discards or hands to `ensure`."""
        return Unpacking(archive, self._scratch.fresh("layer"))

    def drop(self, unpacking: Unpacking) -> None:
        """Throw away what `begin` has begun."""
        unpacking.close()
        if os.path.exists(unpacking.directory):
            self._scratch.discard(unpacking.directory)

    def _unpack(self, archive: LayerArchive, below: Sequence[Digest]) -> tuple[Layer, str]:
        """Unpack into a scratch directory; returns what it is, and where."""
        unpacking = self.begin(archive)
        try:
            unpacking.run()
            archive.wait_below()
        except BaseException as error:
            self.drop(unpacking)
            self._scratch.purge()  # at once: the disk may be full
            if isinstance(error, OSError):
                raise explained(error) from error
            raise
        return self._complete(unpacking, below)

    def _complete(self, unpacking: Unpacking, below: Sequence[Digest]) -> tuple[Layer, str]:
        """What was unpacked, as a layer on top of `below`, and where it is; it is closed."""
        directory = unpacking.directory
        try:
            unpacked = unpacking.complete(MergedView([self.tree(chain_id) for chain_id in reversed(below)]))
            unpacking.close()
            chain_id = _chain_id(below, unpacking.diff_id)
            parent = below[-1] if below else None
            layer = Layer(
                chain_id,
                unpacking.diff_id,
                parent,
                unpacked.size_bytes,
                unpacking.size_bytes,
                unpacked.is_rebuildable,
            )
            with open(os.path.join(directory, "layer.json"), "xb") as file:
                file.write(encode_document(layer))
        except BaseException as error:
            self.drop(unpacking)
            self._scratch.purge()
            if isinstance(error, OSError):
                raise explained(error) from error
            raise
        return layer, directory

    def _publish(self, layer: Layer, directory: str) -> Layer:
        """Rename a finished layer into place; if somebody else was faster, theirs stays."""
        chain_id = Digest(layer.chain_id)
        with self._lock:
            existing = self._layers.get(chain_id)
            if existing is not None:
                self._scratch.discard(directory)
                return existing
            os.rename(directory, os.path.join(self._root, hex_of(chain_id)))
            self._layers[chain_id] = layer
        return layer

    # -- mending ------------------------------------------------------------------------------------------------

    def unpack_again(self, chain_id: Digest) -> str:
        """A scratch directory, the caller's, in whose `diff` the layer is unpacked from its own archive; it is held.

        Raises: Internal if the archive is damaged; what Unpacker raises.
        """
        unpacking = self.begin(_Rebuilt(self, chain_id))
        try:
            unpacking.run()
            below = self.chain(chain_id)[:-1]
            unpacking.complete(MergedView([self.tree(lower) for lower in reversed(below)]))
            unpacking.close()
        except BaseException:
            self.drop(unpacking)
            raise
        return unpacking.directory

    def renew(self, chain_id: Digest) -> None:
        """Put a tree made from the layer's own archive in the place of the one that it has. Raises: as unpack_again."""
        directory = self.unpack_again(chain_id)
        with self._lock:
            if chain_id in self._layers:
                self._put_tree(chain_id, directory)
        self._scratch.discard(directory)

    def restore(self, archive: LayerArchive, chain_id: Digest) -> None:
        """Make the layer anew, which the caller holds, from an archive that is not its own.

        Raises: InvalidArgument for another archive; what Unpacker and the archive raise.
        """
        layer, directory = self._unpack(archive, self.chain(chain_id)[:-1])
        try:
            if layer.chain_id != chain_id:
                raise InvalidArgument("cannot restore layer", why=f"that is the archive of layer {layer.chain_id}")
            own = os.path.join(self._root, hex_of(chain_id))
            with self._lock:
                os.makedirs(own, mode=0o700, exist_ok=True)
                for name in ("archive", "skeleton", "layer.json"):
                    if os.path.exists(os.path.join(directory, name)):
                        os.rename(os.path.join(directory, name), os.path.join(own, name))
                self._put_tree(chain_id, directory)
                self._layers[chain_id] = layer
        finally:
            self._scratch.discard(directory)

    def _put_tree(self, chain_id: Digest, directory: str) -> None:
        """Put the tree in `directory` in the place of the layer's, if it has one; the caller has the lock."""
        # After a kill between the next two steps the start finishes the work.
        renewed = os.path.join(self._root, hex_of(chain_id), _RENEWED)
        os.rename(os.path.join(directory, "diff"), renewed)
        if os.path.lexists(self.tree(chain_id)):
            self._scratch.discard(self.tree(chain_id))
        os.rename(renewed, self.tree(chain_id))

    def strangers(self) -> list[str]:
        """Names among the layers that are no layer's."""
        with self._lock:
            known = {hex_of(chain_id) for chain_id in self._layers}
            return sorted(name for name in os.listdir(self._root) if name not in known)

    def discard_stranger(self, name: str) -> None:
        """Throw away one of `strangers`. Raises: OSError."""
        self._scratch.discard(os.path.join(self._root, name))

    # -- reading ------------------------------------------------------------------------------------------------

    def archive_of(self, diff_id: Digest) -> LayerArchive:
        """The archive with this digest, from any layer that was made of it. Raises: NotFound."""
        for layer in self.all():
            if layer.diff_id == diff_id:
                return _Rebuilt(self, Digest(layer.chain_id))
        raise NotFound(f"no layer has the archive {diff_id}", fix="load the image again")

    def archive(self, chain_id: Digest) -> Iterator[bytes]:
        """The layer's plain tar, exactly as it came in; the caller holds the layer.

        Raises while iterating: Internal, at the end, if the unpacked files were changed.
        """
        layer = self.get(chain_id)
        directory = os.path.join(self._root, hex_of(chain_id))
        hasher = hashlib.sha256()
        with open(os.path.join(directory, "skeleton" if layer.is_rebuildable else "archive"), "rb") as file:
            chunks = rebuild(file, self.tree(chain_id)) if layer.is_rebuildable else decompressed(read_chunks(file))
            for chunk in chunks:
                hasher.update(chunk)
                yield chunk
        if f"sha256:{hasher.hexdigest()}" != layer.diff_id:
            raise DamagedLayer(f"damaged layer {chain_id}", why="its files were changed", fix="load the image again")

    def _scan(self) -> Iterator[tuple[Digest, Layer]]:
        """The layers on disk."""
        for name in os.listdir(self._root):
            try:
                with open(os.path.join(self._root, name, "layer.json"), "rb") as file:
                    layer = decode_document(file.read(), Layer, "layer.json")
            except (OSError, InvalidArgument):
                # Not written by us, or lost in a power failure: the images of it say that it's missing.
                self._scratch.discard(os.path.join(self._root, name))
                continue
            self._finish_renewal(os.path.join(self._root, name))
            yield Digest(layer.chain_id), layer

    def _finish_renewal(self, directory: str) -> None:
        """What a kill has left of `renew`."""
        renewed, tree = os.path.join(directory, _RENEWED), os.path.join(directory, "diff")
        if os.path.isdir(renewed):
            if os.path.isdir(tree):
                self._scratch.discard(tree)
            os.rename(renewed, tree)


class _Rebuilt(ArchiveFile):
    """The archive of a layer that exists."""

    def __init__(self, layers: LayerStore, chain_id: Digest) -> None:
        self.size_bytes = layers.get(chain_id).archive_size
        self._layers = layers
        self._chain_id = chain_id

    def chunks(self) -> Generator[bytes, None, None]:
        """As LayerArchive."""
        with self._layers.held((self._chain_id,)):
            yield from self._layers.archive(self._chain_id)


def _chain_id(below: Sequence[Digest], diff_id: Digest) -> Digest:
    if not below:
        return diff_id
    return Digest("sha256:" + hashlib.sha256(f"{below[-1]} {diff_id}".encode()).hexdigest())
