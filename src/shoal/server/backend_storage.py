"""What the server asks of the store seen from inside: additions of shoal's to the nouns of backend.py."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from shoal.api.storage import ArtifactSummary, DiskLedger, ImageDifference, ImageStack, StoreChecked, StoreFinding


class StorageBackend(Protocol):
    """The store seen from inside: additions of shoal's to Docker's API."""

    async def disk(self) -> DiskLedger:
        """Whose every byte on disk is."""
        ...

    async def stack(self, ref: str) -> ImageStack:
        """An image as the stack of its layers. Raises: NotFound, InvalidArgument."""
        ...

    def differences(self, ref: str, other: str) -> AsyncIterator[ImageDifference]:
        """In what `other` differs. Raises (before the first): NotFound, InvalidArgument."""
        ...

    def check(self, *, repair: bool, registry_config: str) -> AsyncIterator[StoreFinding | StoreChecked]:
        """What is wrong in the store, mended with `repair`. Raises (before the first): Conflict."""
        ...

    async def artifacts(self) -> list[ArtifactSummary]:
        """What was pulled and is no image."""
        ...

    def artifact_file(self, name: str, file: str) -> AsyncIterator[bytes]:
        """A file of an artifact; `file` is its title or digest. Raises (before the first piece): NotFound."""
        ...

    async def remove_artifact(self, name: str) -> None:
        """Forget an artifact. Raises: NotFound, InvalidArgument."""
        ...
