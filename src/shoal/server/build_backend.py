"""What the server asks of the engine about builds; the rest is in `backend`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from shoal.api.build import BuildOptions, PruneOptions
from shoal.api.progress import JSONMessage
from shoal.api.system import BuildPruneReport


class BuildBackend(Protocol):
    """Builds of images."""

    def build(self, options: BuildOptions, body: AsyncIterator[bytes]) -> AsyncIterator[JSONMessage]:
        """The output of a build, whose context is `body`; closing it cancels the build.

        Raises (before the first message, where the request or the file is wrong): InvalidArgument, Unsupported.
        """
        ...

    async def has_context(self, token: str) -> bool:
        """Whether a build may name the context of this token (BuildOptions.context)."""
        ...

    async def cancel(self, build_id: str) -> None:
        """Ends the build to which its client gave this id, if it runs. Raises: InvalidArgument without an id."""
        ...

    async def send_cache(self, body: AsyncIterator[bytes]) -> str:
        """The token of a cache, an OCI layout in an archive, for `type=local,token=…`. Raises: InvalidArgument."""
        ...

    def cache(self, build: str, *, is_whole: bool) -> AsyncIterator[bytes]:
        """The cache of one of the last builds as such an archive; whole, or of the result's own steps.

        Raises (before the first piece): NotFound.
        """
        ...

    async def state(self, build: str, step: int) -> str:
        """The id of an image, without a name, that is what a step of one of the last builds came to, for a shell.

        Raises: NotFound for the build; InvalidArgument for the step.
        """
        ...

    async def prune(self, options: PruneOptions) -> BuildPruneReport:
        """What was removed of the build cache. Raises: InvalidArgument for a filter."""
        ...
