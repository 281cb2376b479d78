"""The part of the engine in memory that shows its store from inside."""

from __future__ import annotations

from collections.abc import AsyncIterator

from shoal.api.storage import (
    ArtifactSummary,
    DiskLedger,
    DiskUser,
    ImageDifference,
    ImageStack,
    StoreChecked,
    StoreFinding,
)
from shoal.errors import NotFound


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

    async def artifacts(self) -> list[ArtifactSummary]:
        """One chart."""
        return [
            ArtifactSummary(
                name="a/chart:1", digest="sha256:1", artifact_type="c", size=3, pulled=1, files=[], annotations={}
            )
        ]

    async def artifact_file(self, name: str, file: str) -> AsyncIterator[bytes]:
        """The names themselves."""
        yield f"{name} {file}".encode()

    async def remove_artifact(self, name: str) -> None:
        """None is there."""
        raise NotFound(f"No such artifact: {name}")

    async def differences(self, ref: str, other: str) -> AsyncIterator[ImageDifference]:
        """One file more."""
        yield ImageDifference(path=f"/{ref}-{other}", kind=1, size=7)
