"""The cache of a build as it travels: which step came to which layer. Whoever reads one believes nothing of it. Pure.

A step adds one layer to those below it or none, so that a step and its layer are all that has to be told: what is below
is there when the step is asked for, and a part of its key. What a document says counts for the build that reads it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from shoal.build.state import State
from shoal.errors import InvalidArgument
from shoal.oci.build_cache import CacheDocument, CachedStep
from shoal.oci.digest import Digest, parse_digest
from shoal.oci.documents import decode_document, encode_document

_STEPS_MAX = 50_000
_LAYERS_MAX = 5_000
_KEY = re.compile(r"[0-9a-f]{64}\Z", re.ASCII)


class CachedLayer(NamedTuple):
    """A layer of a cache as it is here."""

    diff_id: Digest
    chain_id: Digest


def describe(states: Iterable[State]) -> tuple[CacheDocument, list[CachedLayer]]:
    """What a cache of these states says, and the layers that go with it."""
    layers: dict[Digest, int] = {}
    found: list[CachedLayer] = []
    steps: dict[str, int | None] = {}
    for state in states:
        before = state.base_layers
        for key, count in state.steps:
            if count > before:
                diff_id, chain_id = Digest(state.diff_ids[count - 1]), state.chain_ids[count - 1]
                if diff_id not in layers:
                    layers[diff_id] = len(found)
                    found.append(CachedLayer(diff_id, chain_id))
            steps[key] = layers[Digest(state.diff_ids[count - 1])] if count > before else None
            before = count
    told = [CachedStep(key, layer) for key, layer in steps.items()]
    return CacheDocument([layer.diff_id for layer in found], told), found


def encode_cache(document: CacheDocument) -> bytes:
    """The document as it is sent."""
    return encode_document(document)


def decode_cache(raw: bytes, layers: int) -> tuple[list[Digest], Mapping[str, int | None]]:
    """The layers' diffIDs, and the steps: the number of the layer of each by its key. `layers` has the manifest.

    Raises: InvalidArgument for what can't be one.
    """
    document = decode_document(raw, CacheDocument, "build cache")
    if len(document.steps) > _STEPS_MAX or layers > _LAYERS_MAX or len(document.diff_ids) != layers:
        why = f"{len(document.steps)} steps, {len(document.diff_ids)} diffIDs for {layers} layers"
        raise InvalidArgument("invalid build cache", why=why)
    for step in document.steps:
        if not _KEY.match(step.key) or not (step.layer is None or 0 <= step.layer < layers):
            raise InvalidArgument("invalid build cache", why=f"step {step.key[:80]!r}: layer {step.layer}")
    return [parse_digest(text) for text in document.diff_ids], {step.key: step.layer for step in document.steps}
