"""Taking a container off the machine, whole."""

from __future__ import annotations

import asyncio
import shutil

from shoal.engine.background import Background
from shoal.engine.container.clients import WaitingClients
from shoal.engine.container.container_volumes import ContainerVolumes
from shoal.engine.container.exits_past import PastExits
from shoal.engine.container.image_mounts import remove_image_mounts
from shoal.engine.container.links import Links
from shoal.engine.container.record import ContainerRecord
from shoal.engine.container.registry import ContainerRegistry
from shoal.engine.container.removal_claims import RemovalClaims
from shoal.engine.container.waiters import Ending, Waiters
from shoal.engine.database import Reserve
from shoal.engine.events import EventLog
from shoal.engine.execs import Execs
from shoal.engine.health.monitor import HealthMonitor
from shoal.engine.networking import ContainerNetworks
from shoal.engine.paths import Paths
from shoal.engine.trash import Trash
from shoal.errors import Internal, NotFound
from shoal.image.snapshot.protocol import Snapshotter


class Remover:
    """Removes containers that do not run. A removal that is cut short is finished when shoald starts."""

    def __init__(
        self,
        *,
        paths: Paths,
        registry: ContainerRegistry,
        snapshotter: Snapshotter,
        networks: ContainerNetworks,
        clients: WaitingClients,
        waiters: Waiters,
        events: EventLog,
        background: Background,
        execs: Execs,
        reserve: Reserve,
        volumes: ContainerVolumes,
        health: HealthMonitor,
        past_exits: PastExits,
        links: Links,
    ) -> None:
        self._paths = paths
        self._registry = registry
        self._snapshotter = snapshotter
        self._networks = networks
        self._clients = clients
        self._waiters = waiters
        self._events = events
        self._background = background
        self._execs = execs
        self._reserve = reserve
        self._volumes = volumes
        self._health = health
        self._past_exits = past_exits
        self._links = links
        self._trash = Trash(paths.trash)
        self._purging = False
        self.claims = RemovalClaims()

    async def remove(self, record: ContainerRecord, *, volumes: bool = False) -> None:
        """Removes the container's layer, files and record, with `volumes` its anonymous volumes. The caller holds its
        lock.

        Raises: Internal when a file cannot be removed: the container is then `dead`, and can be removed again.
        """
        with self.claims.join(record):
            await self._remove(record, volumes=volumes)

    async def _remove(self, record: ContainerRecord, *, volumes: bool) -> None:
        record.move("remove")
        record.drops_volumes = record.drops_volumes or volumes or record.host_config.auto_remove
        self._registry.save(record)
        try:
            remove_image_mounts(record.id, record.host_config, self._snapshotter)
            self._put_aside(record.id)
        except OSError as cause:
            record.move("remove_failed")
            self._registry.save(record)
            raise Internal(
                f"unable to remove filesystem for {record.id}", why=str(cause), fix=f"docker rm -f {record.name}"
            ) from cause
        await self._networks.release(record)
        self._clients.drop(record.id)
        given_up = self._volumes.give_up(record) if record.drops_volumes else ()
        self._past_exits.keep(record)
        self._registry.delete(record)
        self._links.removed(record)
        self._volumes.drop(given_up)
        self._execs.forget(record.id)
        self._health.forget(record.id)
        self._events.publish("container", "destroy", record.id, record.attributes())
        self._waiters.removed(record.id, Ending(record.state.exit_code))
        if not self._purging:
            self._purging = True
            self._background.spawn(self.purge(), "freeing the space of removed containers")

    async def purge(self) -> None:
        """Deletes what removals have put aside; containers removed meanwhile are seen to by the same run."""
        self._purging = False
        await asyncio.to_thread(self._trash.purge)
        await asyncio.to_thread(self._snapshotter.purge_trash)
        await asyncio.to_thread(self._volumes.purge)
        self._reserve.take()

    def _put_aside(self, id: str) -> None:
        """Takes the container's files away by renames, which are quick. Raises: OSError."""
        try:
            self._snapshotter.remove(id)
        except NotFound:
            pass  # a removal that was cut short had come so far
        self._trash.put(self._paths.container_dir(id))
        shutil.rmtree(self._paths.run_dir(id), ignore_errors=True)  # empty, and mostly gone: the supervisor's work
