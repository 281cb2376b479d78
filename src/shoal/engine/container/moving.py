"""Moving a container between the host's kernel and a machine of its own: an addition of shoal's, POST …/move.

stop ─▶ isolation changed ─▶ start       the id, name, address, ports, volumes and files stay
                               └ fails ─▶ changed back ─▶ start, and the failure is told
"""

from __future__ import annotations

import msgspec

from shoal.api.host_config import HostConfig
from shoal.engine.container.isolation import VM, check_isolation
from shoal.engine.container.lifecycle import Lifecycle
from shoal.engine.container.locks import ContainerLocks
from shoal.engine.container.record import ContainerRecord
from shoal.engine.container.registry import ContainerRegistry
from shoal.engine.container.stopping import Stopper
from shoal.engine.events import EventLog
from shoal.engine.image_names import ImageNames
from shoal.engine.networking import ContainerNetworks
from shoal.errors import Conflict, NotFound, NotModified, ShoalError


class Mover:
    """Moves containers."""

    def __init__(
        self,
        registry: ContainerRegistry,
        lifecycle: Lifecycle,
        stopper: Stopper,
        networks: ContainerNetworks,
        images: ImageNames,
        locks: ContainerLocks,
        events: EventLog,
    ) -> None:
        self._registry = registry
        self._lifecycle = lifecycle
        self._stopper = stopper
        self._networks = networks
        self._images = images
        self._locks = locks
        self._events = events

    async def move(self, record: ContainerRecord, isolation: str) -> None:
        """Returns when the container is what was asked for, and runs again if it ran.

        Raises: NotModified when it is already; InvalidArgument for an unknown isolation, options that go with the other
        one only, or an image for another processor; Conflict when it is being removed, or moved; what a start raises,
        and then it runs as before.
        """
        before = record.host_config
        after = msgspec.structs.replace(before, isolation=isolation)
        check_isolation(after)
        if (before.isolation == VM) == (isolation == VM):
            raise NotModified(f"container {record.id} has that isolation already")
        if isolation == VM:
            self._check_native(record)
        # In this order: one that is refused must not undo what the first one keeps.
        with self._networks.keeping(record), self._lifecycle.kept(record):
            try:
                await self._stopper.stop(record, None, None, by="restart")
                ran = True
            except NotModified:
                ran = False
            await self._change(record, after)
            if ran:
                await self._start(record, before)
        self._events.publish("container", "update", record.id, record.attributes())

    def _check_native(self, record: ContainerRecord) -> None:
        try:
            image = self._images.find(record.image_id, None)
        except NotFound:
            return  # removed under its container: what it was made for is not known any more
        self._images.check_native(image)

    async def _start(self, record: ContainerRecord, before: HostConfig) -> None:
        try:
            await self._lifecycle.start(record)
        except NotModified:
            pass  # somebody else was quicker
        except ShoalError:
            await self._change(record, before)
            await self._lifecycle.start(record)
            raise

    async def _change(self, record: ContainerRecord, host: HostConfig) -> None:
        async with self._locks.hold(record.id):
            if record.state.status in ("removing", "dead") or record.is_active:
                raise Conflict(f"container {record.name} cannot be moved now", why=f"it is {record.state.status}")
            kept, record.host_config = record.host_config, host
            try:
                self._registry.save(record)
            except ShoalError:
                record.host_config = kept
                raise
