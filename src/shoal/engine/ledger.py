"""Whose every byte of the data root is.

Each part of the engine claims paths. They are measured, and so is all that nobody claims, which is the engine's own:
the sum is what `du` counts, by construction. Blocks, not lengths. Pure but for reading the disk; for a thread.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from shoal.api.storage import DiskLedger, DiskUser
from shoal.image.allocation import Allocation, allocated, own
from shoal.image.claims import Claim

ENGINE = "engine"


class Ledger:
    """The books about the directory `root`. What is `is_fixed` and shares no file is measured once. Thread-safe."""

    def __init__(self, root: Path) -> None:
        self._root = str(root)
        self._measured: dict[str, Allocation] = {}

    def read(self, owned: Iterable[Claim]) -> DiskLedger:
        """The whole of it; of two claims on a path the later one counts. Raises: OSError."""
        claims = {claim.path: claim for claim in owned}
        fixed = {path for path, claim in claims.items() if claim.is_fixed}
        self._measured = {path: known for path, known in self._measured.items() if path in fixed}
        counted: set[tuple[int, int]] = set()
        users = [_shown(claim, taken) for claim, taken in self._measure(claims.values(), counted)]
        users += _unclaimed(self._root, frozenset(claims), counted)
        return DiskLedger(size=sum(user.size for user in users), inodes=sum(user.inodes for user in users), users=users)

    def size_bytes(self, claims: Iterable[Claim]) -> int:
        """What the claimed paths take together. Raises: OSError."""
        return sum(taken.size_bytes for _, taken in self._measure(claims, set()))

    def _measure(self, claims: Iterable[Claim], counted: set[tuple[int, int]]) -> Iterator[tuple[Claim, Allocation]]:
        """What each takes, without the files that are in `counted`, to which its own come."""
        for claim in claims:
            taken = self._measured.get(claim.path) if claim.is_fixed else None
            if taken is None:
                taken = allocated(claim.path, counted)
                if claim.is_fixed and not taken.is_shared:
                    self._measured[claim.path] = taken
            yield claim, taken


def _shown(claim: Claim, taken: Allocation) -> DiskUser:
    return DiskUser(
        kind=claim.kind,
        id=claim.id,
        names=list(claim.names),
        size=taken.size_bytes,
        inodes=taken.inodes,
        in_use=claim.in_use,
    )


def _unclaimed(root: str, claimed: frozenset[str], counted: set[tuple[int, int]]) -> Iterator[DiskUser]:
    """What nobody claims, one by one as far as a claim lies beside it."""
    above = {os.path.dirname(path) for path in claimed}
    while missing := {os.path.dirname(path) for path in above if len(path) > len(root)} - above:
        above |= missing
    pending = [root]
    while pending:
        path = pending.pop()
        if path in claimed:
            continue
        if path not in above:
            yield _engines(root, path, allocated(path, counted))
            continue
        yield _engines(root, path, own(os.lstat(path)))
        pending += [os.path.join(path, name) for name in os.listdir(path)]


def _engines(root: str, path: str, taken: Allocation) -> DiskUser:
    name = os.path.relpath(path, root)
    return DiskUser(kind=ENGINE, id=name, names=[name], size=taken.size_bytes, inodes=taken.inodes, in_use=True)
