"""Volumes as the server asks for them (Docker API v1.50 `Volume`)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from shoal.api.filters import Filters
from shoal.api.timestamps import format_rfc3339
from shoal.api.volume import Volume as ShownVolume
from shoal.api.volume import VolumeCreateRequest, VolumeListResponse, VolumesPruneReport, VolumeUsage
from shoal.engine.clock import Clock
from shoal.engine.container.container_volumes import DRIVER, ContainerVolumes, check_driver
from shoal.engine.container.registry import ContainerRegistry
from shoal.engine.events import EventLog
from shoal.errors import Conflict, NotFound
from shoal.image.snapshot.records import tree_usage
from shoal.volume.store import Volume, VolumeStore

_ACCEPTED = ("dangling", "driver", "label", "name")
_NS = 1_000_000_000
_PRUNE_ACCEPTED = ("all", "label", "label!")


class Volumes:
    """What the server calls `VolumeBackend`."""

    def __init__(
        self,
        store: VolumeStore,
        of_containers: ContainerVolumes,
        registry: ContainerRegistry,
        events: EventLog,
        clock: Clock,
    ) -> None:
        self._store = store
        self._of_containers = of_containers
        self._registry = registry
        self._events = events
        self._clock = clock

    async def list(self, filters: Filters) -> VolumeListResponse:
        """The volumes that the filters let through, by name. Raises: InvalidArgument for a filter."""
        filters.validate(_ACCEPTED)
        dangling = filters.boolean("dangling", default=False) if "dangling" in filters else None
        chosen = [volume for volume in self._store if self._passes(volume, filters, dangling)]
        return VolumeListResponse(volumes=[self._show(v) for v in sorted(chosen, key=lambda volume: volume.name)])

    def _passes(self, volume: Volume, filters: Filters, dangling: bool | None) -> bool:
        return (
            filters.matches_pattern("name", volume.name)
            and filters.matches_exactly("driver", DRIVER)
            and filters.matches_labels(volume.labels or {})
            and (dangling is None or dangling == self._of_containers.is_free(volume.name))
        )

    async def create(self, request: VolumeCreateRequest) -> ShownVolume:
        """The new volume, or the one that has the name already.

        Raises: InvalidArgument; NotFound for a driver; Unsupported for options.
        """
        check_driver(request.name, request.driver)
        known = self._store.find(request.name) if request.name else None
        if known is not None:
            return self._show(known)
        volume = self._store.create(
            request.name, now_ns=self._clock(), labels=request.labels, options=request.driver_opts
        )
        self._of_containers.publish("create", volume.name)
        return self._show(volume)

    async def inspect(self, name: str) -> ShownVolume:
        """One volume. Raises: NotFound."""
        return self._show(self._store.get(name))

    def _show(self, volume: Volume, usage: VolumeUsage | None = None) -> ShownVolume:
        return ShownVolume(
            created_at=format_rfc3339(volume.created_ns // _NS * _NS),
            driver=DRIVER,
            labels=volume.labels,
            mountpoint=self._store.mountpoint(volume.name),
            name=volume.name,
            options=volume.options,
            scope="local",
            usage_data=usage,
        )

    async def remove(self, name: str, *, force: bool) -> None:
        """Returns when the volume is gone. Raises: NotFound unless `force`; Conflict while a container has it."""
        try:
            self._store.get(name)
        except NotFound:
            if force:
                return
            raise
        if not self._of_containers.is_free(name):
            users = self._of_containers.users(name)
            raise Conflict(
                f"remove {name}: volume is in use - [{', '.join(users)}]",
                fix=f"docker rm {' '.join(user[:12] for user in users)}" if users else "",
            )
        self._of_containers.remove(name)
        await asyncio.to_thread(self._store.purge)

    async def prune(self, filters: Filters) -> VolumesPruneReport:
        """What was removed: volumes that no container has, anonymous ones alone unless `all` is true.

        Raises: InvalidArgument for a filter.
        """
        filters.validate(_PRUNE_ACCEPTED)
        takes_all = filters.boolean("all", default=False)
        removed: list[str] = []
        reclaimed = 0
        for volume in self._store:
            # As the reference does: what somebody took the trouble to give options to stays.
            if (takes_all or volume.is_anonymous) and not volume.options and _matches(volume, filters):
                size = await self._size(volume)
                # Again after the wait: a container may have come, another client may have been quicker.
                if self._store.find(volume.name) is volume and self._of_containers.is_free(volume.name):
                    self._of_containers.remove(volume.name)
                    removed.append(volume.name)
                    reclaimed += size
        await asyncio.to_thread(self._store.purge)
        self._events.publish("volume", "prune", "", {"reclaimed": str(reclaimed)})
        return VolumesPruneReport(volumes_deleted=removed or None, space_reclaimed=reclaimed)

    async def _size(self, volume: Volume) -> int:
        """The bytes of its own content; one that shows something else takes none of the engine's."""
        if not self._of_containers.is_free(volume.name) or volume.backing.kind != "directory":
            return 0
        return await self._measured(volume)

    async def _measured(self, volume: Volume) -> int:
        try:
            usage = await asyncio.to_thread(tree_usage, self._store.mountpoint(volume.name))
        except OSError:
            return 0  # removed meanwhile
        return usage.size_bytes

    async def usage(self) -> Sequence[ShownVolume]:
        """All volumes with what they take, and how many containers have them."""
        shown = []
        for volume in self._store:
            size = await self._measured(volume) if volume.backing.kind == "directory" else 0
            count = len(self._of_containers.users(volume.name))
            shown.append(self._show(volume, VolumeUsage(size=size, ref_count=count)))
        return shown

    def repair(self) -> Sequence[str]:
        """What was set right after a kill, as sentences. Before anything is served."""
        return self._store.repair({record.id for record in self._registry}, self._clock())

    def purge(self) -> None:
        """Deletes what was removed; for a thread."""
        self._store.purge()


def _matches(volume: Volume, filters: Filters) -> bool:
    labels = volume.labels or {}
    unwanted = filters.get("label!")
    return filters.matches_labels(labels) and not any(
        Filters({"label": [wanted]}).matches_labels(labels) for wanted in unwanted
    )
