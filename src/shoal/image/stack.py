"""An image as the stack of its layers: who made each, who shares it, and what of it is covered by those above.

Bytes are wasted where a layer above has overwritten or deleted a file: they are stored and sent, and nobody sees them.
"""

from __future__ import annotations

import heapq
import os
import stat
from collections.abc import Callable, Sequence
from typing import NamedTuple

from shoal.image.image import Image
from shoal.image.layers import Layer
from shoal.image.merged import MergedView
from shoal.image.trees import open_directory, walk_tree
from shoal.image.whiteouts import is_whiteout_device
from shoal.oci.digest import Digest
from shoal.oci.image_spec import History, unix_ns

_SHOWN_AT_MOST = 5


class WastedFile(NamedTuple):
    """A file that a layer above covers; its path is absolute in the image."""

    path: str
    size_bytes: int


class StackedLayer(NamedTuple):
    """A layer in its image. `wasted` has the biggest files of what is wasted."""

    chain_id: Digest
    diff_id: Digest
    created_ns: int
    created_by: str
    size_bytes: int
    files: int
    wasted_bytes: int
    wasted: Sequence[WastedFile]
    shared_with: Sequence[str]


def stack_of(
    image: Image, layers: Sequence[Layer], tree: Callable[[Digest], str], others: Sequence[Image]
) -> list[StackedLayer]:
    """The layers of `image`, the bottom one first; the caller holds them. `others` are all images.

    Raises: OSError.
    """
    view = MergedView([tree(chain_id) for chain_id in reversed(image.chain_ids)])
    steps = _steps(image.document.history or (), len(layers))
    return [
        _looked_at(layer, tree(Digest(layer.chain_id)), view, step, _sharers(Digest(layer.chain_id), image, others))
        for layer, step in zip(layers, steps, strict=True)
    ]


def _steps(history: Sequence[History], count: int) -> list[History]:
    """The step that made each layer; an empty one where the history tells none."""
    made = [step for step in history if not step.empty_layer][:count]
    return [*made, *(History() for _ in range(count - len(made)))]


def _sharers(chain_id: Digest, image: Image, others: Sequence[Image]) -> list[str]:
    return [
        name
        for other in others
        if other.id != image.id and chain_id in other.chain_ids
        for name in other.repo_tags or [other.id]
    ]


def _looked_at(layer: Layer, tree: str, view: MergedView, step: History, sharers: Sequence[str]) -> StackedLayer:
    """Walk the layer, and ask for each file whether it is what the image shows there."""
    prefix = os.fsencode(tree) + b"/"
    files = wasted_bytes = 0
    wasted: list[WastedFile] = []
    linked: dict[int, tuple[bool, WastedFile]] = {}  # of several names one that shows is enough
    root_fd = open_directory(tree)
    try:
        for path, _, _, status in walk_tree(root_fd):
            if stat.S_ISDIR(status.st_mode) or is_whiteout_device(status):
                continue
            files += 1
            if not stat.S_ISREG(status.st_mode) or not status.st_size:
                continue
            found = view.find(path)
            is_seen = found is not None and found[0] == prefix + path
            file = WastedFile("/" + os.fsdecode(path), status.st_size)
            if status.st_nlink > 1:
                known = linked.get(status.st_ino, (False, file))
                linked[status.st_ino] = (known[0] or is_seen, known[1])
            elif not is_seen:
                wasted_bytes += file.size_bytes
                _keep_biggest(wasted, file)
    finally:
        os.close(root_fd)
    for is_seen, file in linked.values():
        if not is_seen:
            wasted_bytes += file.size_bytes
            _keep_biggest(wasted, file)
    return StackedLayer(
        chain_id=Digest(layer.chain_id),
        diff_id=Digest(layer.diff_id),
        created_ns=unix_ns(step.created),
        created_by=step.created_by or step.comment,
        size_bytes=layer.size_bytes,
        files=files,
        wasted_bytes=wasted_bytes,
        wasted=sorted(wasted, key=lambda one: (-one.size_bytes, one.path)),
        shared_with=sharers,
    )


def _keep_biggest(kept: list[WastedFile], file: WastedFile) -> None:
    kept.append(file)
    if len(kept) > 20 * _SHOWN_AT_MOST:
        kept[:] = heapq.nlargest(_SHOWN_AT_MOST, kept, key=lambda one: one.size_bytes)
