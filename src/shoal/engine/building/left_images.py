"""What failed commands of builds left, as images without a name: the last few are kept for who wants to look around."""

from __future__ import annotations

from collections import deque

from shoal.engine.images import Images
from shoal.errors import Conflict, NotFound

_KEPT = 4


class LeftImages:
    """The images, the oldest first. What an earlier shoald left is for `docker image prune`."""

    def __init__(self, images: Images) -> None:
        self._images = images
        self._ids: deque[str] = deque()

    async def add(self, image_id: str) -> None:
        """Keeps one more, and lets the oldest go, unless it has got a name or a container meanwhile."""
        if image_id in self._ids:
            return
        self._ids.append(image_id)
        if len(self._ids) > _KEPT:
            try:
                if not (await self._images.inspect(self._ids[0])).repo_tags:
                    await self._images.remove(self._ids[0], force=False, prune=True)
            except (Conflict, NotFound):
                pass  # it is somebody's, or gone
            self._ids.popleft()
