"""The part of the engine in memory that shows its store from inside."""

from __future__ import annotations

from collections.abc import AsyncIterator

from shoal.api.storage import DiskLedger, DiskUser, ImageDifference, ImageStack, StoreChecked, StoreFinding


class FakeStorage:
    """One layer on disk."""

    async def disk(self) -> DiskLedger:
        user = DiskUser(kind="image-layer", id="sha256:1", names=["busybox:latest"], size=4096, inodes=1, in_use=False)
        return DiskLedger(size=4096, inodes=1, users=[user])

    async def stack(self, ref: str) -> ImageStack:
        """An image without layers."""
        return ImageStack(id=ref, size=0, wasted_size=0, layers=[])

    async def check(self, *, repair: bool) -> AsyncIterator[StoreFinding | StoreChecked]:
        """One finding."""
        yield StoreFinding(cause="blob-unneeded", subject="1", sentence="it is", hint="", mended=repair)
        yield StoreChecked(images=1, layers=1, snapshots=0, size=7)

    async def differences(self, ref: str, other: str) -> AsyncIterator[ImageDifference]:
        """One file more."""
        yield ImageDifference(path=f"/{ref}-{other}", kind=1, size=7)
