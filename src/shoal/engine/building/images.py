"""Images as the builder asks for them (`build.ports.Images`): by name, pulled where they are missing, and new ones."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import aclosing

import msgspec

from shoal.build.ports import BaseImage, Tell
from shoal.engine.building.registry_config import registry_auth
from shoal.engine.events import EventLog
from shoal.engine.images_registries import ImageTransfers
from shoal.errors import NotFound
from shoal.image.image import Image
from shoal.image.store import ImageStore
from shoal.oci.digest import Digest
from shoal.oci.platform import Platform
from shoal.oci.reference import Reference


class BuildImages:
    """Images for one build. `auths` are the user's credentials by registry; `pull`: a newer image is looked for."""

    def __init__(
        self,
        store: ImageStore,
        transfers: ImageTransfers,
        events: EventLog,
        auths: Mapping[str, msgspec.Raw],
        *,
        pull: bool,
    ) -> None:
        self._store = store
        self._transfers = transfers
        self._events = events
        self._auths = auths
        self._pull = pull
        self._pulling = asyncio.Lock()

    async def base(self, name: str, platform: Platform | None, tell: Tell) -> BaseImage:
        """See Images."""
        reference = Reference.parse(name) if not self._is_id(name) else None
        async with self._pulling:  # two stages on one image pull it once
            image = self._here(name, platform)
            if reference is not None and (image is None or self._pull):
                await self._fetch(reference.with_default_tag(), platform, tell)
                image = self._here(name, platform)
        if image is None:
            raise NotFound(f"No such image: {name}")
        self._store.hold(image)
        return BaseImage(image.id, image.chain_ids, image.document)

    async def keep(self, document: bytes, names: Sequence[str]) -> Digest:
        """See Images."""
        references = [Reference.parse(name).with_default_tag() for name in names]
        image = await asyncio.to_thread(self._store.register, document, references)
        labels = image.config.labels or {}
        for reference in references:
            self._events.publish("image", "tag", image.id, {**labels, "name": reference.familiar()})
        return image.id

    def _is_id(self, name: str) -> bool:
        try:
            return self._store.get(name).id.removeprefix("sha256:").startswith(name.removeprefix("sha256:"))
        except NotFound:
            return False

    def _here(self, name: str, platform: Platform | None) -> Image | None:
        try:
            image = self._store.get(name)
        except NotFound:
            return None
        return image if platform is None or platform.runs(image.platform) else None

    async def _fetch(self, reference: Reference, platform: Platform | None, tell: Tell) -> None:
        header = registry_auth(self._auths, reference)
        messages = self._transfers.pull(
            reference.familiar(), tag="", platform=str(platform) if platform else None, registry_auth=header
        )
        async with aclosing(messages) as pulled:  # type: ignore[type-var]
            async for message in pulled:
                if message.status and message.progress_detail is None:
                    await tell(f"{message.id}: {message.status}\n" if message.id else f"{message.status}\n")
