"""Digests: names of content, `sha256:` and 64 hexadecimal digits.

Pure. OCI image-spec §Digests. shoal writes sha256 only, and reads sha512 where a descriptor carries it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import NewType

from shoal.errors import InvalidArgument

Digest = NewType("Digest", str)

_HEX_LENGTH = {"sha256": 64, "sha384": 96, "sha512": 128}
_SHAPE = re.compile(r"[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[a-zA-Z0-9=_-]+\Z")
_HEX = re.compile(r"[a-f0-9]+\Z")


def parse_digest(text: str) -> Digest:
    """The digest that `text` spells.

    Raises: InvalidArgument with the sentence of the go-digest library, which Docker passes on.
    Source: OCI image-spec §Digests.
    """
    if not _SHAPE.match(text):
        raise InvalidArgument("invalid checksum digest format", why=f"`{text}` is not ALGORITHM:HEX")
    algorithm, _, encoded = text.partition(":")
    if algorithm not in _HEX_LENGTH:
        raise InvalidArgument("unsupported digest algorithm", why=f"`{algorithm}`")
    if len(encoded) != _HEX_LENGTH[algorithm]:
        raise InvalidArgument("invalid checksum digest length", why=f"`{text}`")
    if not _HEX.match(encoded):
        raise InvalidArgument("invalid checksum digest format", why=f"`{text}` has a non-hexadecimal digit")
    return Digest(text)


def algorithm_of(digest: Digest) -> str:
    """The algorithm's name: `sha256`."""
    return digest.partition(":")[0]


def hex_of(digest: Digest) -> str:
    """The digits behind the algorithm's name."""
    return digest.partition(":")[2]


def short_id(digest: str) -> str:
    """The first twelve digits, as Docker prints ids; works for ids with and without `sha256:`."""
    return digest.rpartition(":")[2][:12]


def sha256_of(data: bytes | memoryview) -> Digest:
    """The sha256 digest of `data`."""
    return Digest("sha256:" + hashlib.sha256(data).hexdigest())


def chain_ids_of(diff_ids: Iterable[Digest]) -> tuple[Digest, ...]:
    """The chainID of each layer, bottom first, from the layers' diffIDs.

    A chainID names a layer together with all that lies under it. Source: OCI image-spec config.md §Layer ChainID.
    """
    chain: list[Digest] = []
    for diff_id in diff_ids:
        chain.append(sha256_of(f"{chain[-1]} {diff_id}".encode()) if chain else diff_id)
    return tuple(chain)
