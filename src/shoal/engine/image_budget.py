"""`image-store-budget`: how much images may take on disk. Those that nobody used for longest go first.

An image is used when it comes (pull, load, import, commit, build, tag) and from the creation of a container to its
removal. One that a container has is never removed, whatever its state; neither is one whose last use is a few minutes
ago, since a pull is followed by a run. What is counted is what `shoal system df` shows of images.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator

from shoal.api.event import EventMessage
from shoal.api.filters import Filters
from shoal.engine.clock import Clock
from shoal.engine.container.registry import ContainerRegistry
from shoal.engine.events import EventLog
from shoal.engine.images import Images
from shoal.engine.ledger import Ledger
from shoal.errors import ShoalError
from shoal.image.claims import BLOB, IMAGE, LAYER
from shoal.image.image import Image
from shoal.image.store import ImageStore
from shoal.image.uses import ImageUses

_log = logging.getLogger(__name__)
GRACE_NS = 300 * 10**9
_COMING = frozenset({"pull", "load", "import", "tag", "commit", "build"})


class ImageBudget:
    """Keeps the images of `store` within `budget_bytes`, from `watch` on."""

    def __init__(
        self,
        store: ImageStore,
        uses: ImageUses,
        ledger: Ledger,
        images: Images,
        registry: ContainerRegistry,
        events: EventLog,
        clock: Clock,
        budget_bytes: int,
    ) -> None:
        self._store = store
        self._uses = uses
        self._ledger = ledger
        self._images = images
        self._registry = registry
        self._events = events
        self._clock = clock
        self._budget = budget_bytes
        self._image_of: dict[str, str] = {}

    async def watch(self) -> None:
        """Looks at what is there, and then at all that comes and goes; endless."""
        happened = self._events.subscribe(None, None, Filters({"type": ["image", "container"]}))
        try:
            self._image_of = {record.id: record.image_id for record in self._registry}
            await asyncio.to_thread(self._uses.forget_all_but, {image.id for image in self._store.images()})
            await self._enforce()
            async for event in happened:
                await self._follow(event)
        finally:
            await happened.aclose()
            self._uses.close()

    async def _follow(self, event: EventMessage) -> None:
        if event.type == "image":
            if event.action in _COMING:
                await self._came(event.actor.id)
        elif event.action == "commit":
            await self._came(event.actor.attributes.get("imageID", ""))
        elif event.action == "create":
            record = self._registry.get(event.actor.id)
            self._image_of[event.actor.id] = record.image_id if record is not None else ""
        elif event.action == "destroy":
            await self._came(self._image_of.pop(event.actor.id, ""))

    async def _came(self, id: str) -> None:
        """The image `id`, or one that the event has told by its name, has been used just now."""
        if self._store.find(id) is not None:
            await asyncio.to_thread(self._uses.note, id, self._clock())
        await self._enforce()

    async def _enforce(self) -> None:
        """Removes images until the rest fits, or none is left that may go."""
        tried: set[str] = set()
        while (size := await asyncio.to_thread(self._size)) > self._budget:
            image = next((image for image in self._oldest_first() if image.id not in tried), None)
            if image is None:
                _log.warning(
                    "images take %d bytes of a budget of %d, and all of them are in use, or were just now",
                    size,
                    self._budget,
                )
                return
            tried.add(image.id)
            await self._remove(image)

    def _size(self) -> int:
        """What images take on disk."""
        claims = [claim for claim in self._store.claims() if claim.kind in (IMAGE, LAYER, BLOB)]
        return self._ledger.size_bytes(claims)

    def _oldest_first(self) -> Iterator[Image]:
        """The images that may go."""
        used = {record.image_id for record in self._registry}
        since_ns = self._clock() - GRACE_NS
        free = [image for image in self._store.images() if image.id not in used and self._last_use_ns(image) < since_ns]
        return iter(sorted(free, key=self._last_use_ns))

    def _last_use_ns(self, image: Image) -> int:
        return max(image.last_tagged_ns, self._uses.last_ns(image.id))

    async def _remove(self, image: Image) -> None:
        name = ", ".join(image.repo_tags) or image.id
        try:
            for ref in image.repo_tags or [image.id]:
                await self._images.remove(ref, force=False, prune=True)
        except ShoalError as problem:
            _log.info("image %s is over the budget, but stays: %s", name, problem)
        else:
            _log.info("removed image %s, which was not used for longest: the budget for images is spent", name)
