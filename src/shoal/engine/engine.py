"""The whole engine, as the server and the daemon see it."""

from __future__ import annotations

import asyncio
import functools
import logging
from dataclasses import dataclass

from shoal.engine.background import Background
from shoal.engine.builds import Builds
from shoal.engine.container.archives import Archives
from shoal.engine.container.registry import ContainerRegistry
from shoal.engine.container.service import Containers
from shoal.engine.container.upkeep import Upkeep
from shoal.engine.database import Database
from shoal.engine.execs import Execs
from shoal.engine.image_budget import ImageBudget
from shoal.engine.images import Images
from shoal.engine.images_registries import ImageTransfers
from shoal.engine.network_catalog import NetworkCatalog
from shoal.engine.networks import Networks
from shoal.engine.recovery import Recovery
from shoal.engine.resolving import Resolving
from shoal.engine.storage import Storage
from shoal.engine.system import System
from shoal.engine.virtual_machines import VirtualMachines
from shoal.engine.volumes import Volumes
from shoal.runtime.driver import RuntimeDriver

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Engine:
    """The nouns of the Docker API, and the engine's own beginning and end."""

    containers: Containers
    upkeep: Upkeep
    archives: Archives
    execs: Execs
    images: Images
    registries: ImageTransfers
    builds: Builds
    networks: Networks
    volumes: Volumes
    storage: Storage
    system: System
    machines: VirtualMachines
    recovery: Recovery
    registry: ContainerRegistry
    driver: RuntimeDriver
    catalog: NetworkCatalog
    resolving: Resolving
    database: Database
    background: Background
    budget: ImageBudget | None

    def watch_networks(self) -> None:
        """Keeps what the networks have on the host in place, whoever takes it away."""
        self.background.spawn(self.catalog.watch(functools.partial(_log.warning, "networks: %s")), "watching networks")

    def watch_images(self) -> None:
        """Lets what pulls have left expire, and keeps images within their budget, where there is one."""
        self.registries.begin()
        if self.budget is not None:
            self.background.spawn(self.budget.watch(), "keeping the budget for images")

    async def stop_containers(self) -> None:
        """Stops every container that runs, each in its own time, for policies to start again at the next start.

        A failure is logged.
        """
        self.containers.lifecycle.rest()
        running = [record for record in self.registry if record.is_running]
        results = await asyncio.gather(
            *(self.containers.stopper.stop(record, None, None, by="daemon", by_user=False) for record in running),
            return_exceptions=True,
        )
        for record, result in zip(running, results, strict=True):
            if isinstance(result, BaseException):
                _log.error("cannot stop container %s: %s", record.name, result)

    async def close(self) -> None:
        """Lets go of everything. Containers that run go on, and so does what they need of the host.

        When none runs, nothing of this daemon stays on the host but its files.
        """
        self.containers.lifecycle.close()
        self.resolving.close()
        await self.background.cancel()
        await self.containers.remover.purge()
        remove = not any(record.is_running for record in self.registry)
        await self.driver.close()
        for problem in await self.catalog.stop(remove=remove):
            _log.error("%s", problem)
        self.registries.close()
        self.images.close()
        self.database.close()
