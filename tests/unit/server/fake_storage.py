"""The part of the engine in memory that shows its store from inside."""

from __future__ import annotations

from shoal.api.storage import DiskLedger, DiskUser


class FakeStorage:
    """One layer on disk."""

    async def disk(self) -> DiskLedger:
        user = DiskUser(kind="image-layer", id="sha256:1", names=["busybox:latest"], size=4096, inodes=1, in_use=False)
        return DiskLedger(size=4096, inodes=1, users=[user])
