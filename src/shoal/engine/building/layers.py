"""The image store's layers, as the builder asks for them (`build.ports.Layers`)."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from shoal.build.files import Files
from shoal.build.ports import MadeLayer, Record
from shoal.errors import NotFound
from shoal.image.layer_archive import ArchiveFile
from shoal.image.layer_files import LayerFiles
from shoal.image.layers import Layer, LayerStore
from shoal.image.recording import TreeRecord
from shoal.image.scratch import Scratch
from shoal.oci.digest import Digest


class BuildLayers:
    """Layers for builds. Thread-safe, but for what `view` gives."""

    def __init__(self, layers: LayerStore, scratch: Scratch) -> None:
        self._layers = layers
        self._scratch = scratch

    def view(self, chain_ids: Sequence[Digest]) -> Files:
        """See Layers."""
        return LayerFiles([self._layers.tree(chain_id) for chain_id in reversed(chain_ids)])

    def fresh_tree(self) -> str:
        """See Layers."""
        tree = self._scratch.fresh("tree")
        os.mkdir(tree)
        os.chmod(tree, 0o755)
        return tree

    def drop_tree(self, tree: str) -> None:
        """See Layers."""
        try:
            self._scratch.discard(tree)
        except FileNotFoundError:
            pass  # it has become a layer

    @contextmanager
    def recorded(self) -> Iterator[TreeRecord]:
        """See Layers."""
        record = self._layers.record()
        try:
            yield record
        finally:
            self._layers.drop_record(record)

    def adopt(
        self,
        tree: str,
        below: Sequence[Digest],
        *,
        latest_ns: int,
        is_independent: bool = False,
        record: Record | None = None,
    ) -> MadeLayer | None:
        """See Layers."""
        whole = record if isinstance(record, TreeRecord) else None
        layer = self._layers.adopt(tree, below, latest_ns=latest_ns, is_independent=is_independent, record=whole)
        return _made(layer) if layer else None

    def lend(self, chain_id: Digest) -> str:
        """See Layers."""
        return self._layers.lend(chain_id)

    def moved(self, chain_id: Digest, below: Sequence[Digest]) -> MadeLayer:
        """See Layers."""
        return _made(self._layers.moved(chain_id, below))

    def unpacked(self, archive: str, below: Sequence[Digest], diff_id: Digest) -> MadeLayer:
        """The layer of the file `archive` on top of others, held once. Raises: InvalidArgument for another diffID."""
        return _made(self._layers.stacked(ArchiveFile(archive), below, diff_id))

    def diff_id(self, chain_id: Digest) -> str:
        """See Layers."""
        return self._layers.get(chain_id).diff_id

    def hold(self, chain_ids: Sequence[Digest]) -> bool:
        """See Layers."""
        try:
            self._layers.hold_existing(chain_ids)
        except NotFound:
            return False
        return True

    def release(self, chain_ids: Sequence[Digest]) -> None:
        """See Layers."""
        self._layers.release(chain_ids)

    def discard(self, path: str) -> None:
        """Take a directory on the layers' file system out of sight; `purge` frees the space."""
        self._scratch.discard(path)

    def purge(self) -> None:
        """Free the space of what was thrown away. May take long."""
        self._scratch.purge()

    def scratch_path(self, kind: str) -> str:
        """A path that nothing has, on the layers' file system."""
        return self._scratch.fresh(kind)


def _made(layer: Layer) -> MadeLayer:
    return MadeLayer(Digest(layer.chain_id), layer.diff_id, layer.size_bytes)
